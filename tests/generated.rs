//! Generated schema changes and rows, interleaved over hundreds of tables, under each behaviour and under kills: the sink holds what a
//! model of the behaviour says, column by column and row by row.
//!
//! A *scene* is one table that keeps its name and two shards that one sink table takes together. Each pipeline follows many scenes at
//! once; a step makes one random statement in each. The model knows what a sink table holds after each statement:
//!
//!   - a write puts the row as it is at the source; columns of the sink that the source does not have are null from then on;
//!   - `EVOLVE` renames and drops columns of every row that is there; `LENIENT` and a table of several sources only add;
//!   - a statement may take a name away and give it again: two columns swap, a new one has the name of one that goes;
//!   - `IGNORE` knows the columns that the table was made with, as long as their values go into them.

use std::collections::BTreeMap;

use crate::support::{
    Emulator, Kind, Pipeline, Random, Server, Session, Sink, Sluicebox, eventually, on_both_servers,
};

on_both_servers!(
    evolve_follows_generated_changes,
    try_evolve_follows_generated_changes,
    lenient_follows_generated_changes,
    ignore_follows_generated_changes,
);

/// Scenes of one pipeline; eight pipelines make 512 of them.
const SCENES: usize = 64;
/// Statements of a scene between two comparisons, and how many comparisons there are.
const STEPS: usize = 4;
const ROUNDS: usize = 6;

/// What a column holds, as far as a model must know: numbers stay numbers until they become texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Number,
    Text,
    Date,
    Amount,
}

impl Family {
    const ALL: [Self; 4] = [Self::Number, Self::Text, Self::Date, Self::Amount];

    fn declaration(self, random: &mut Random) -> &'static str {
        match self {
            Self::Number => ["INT", "BIGINT", "SMALLINT"][usize::from(random.below(3) as u8)],
            Self::Text => ["VARCHAR(40)", "TEXT"][usize::from(random.below(2) as u8)],
            Self::Date => "DATE",
            Self::Amount => "DECIMAL(10,2)",
        }
    }

    /// What names of such columns begin with: two shards never mean different things by one name.
    fn letter(self) -> &'static str {
        match self {
            Self::Number => "n",
            Self::Text => "t",
            Self::Date => "d",
            Self::Amount => "m",
        }
    }

    /// A value as the servers and the service print it.
    fn value(self, random: &mut Random) -> String {
        match self {
            Self::Number => random.below(30_000).to_string(),
            Self::Text => format!("text {}", random.below(1000)),
            Self::Date => {
                format!("20{:02}-{:02}-{:02}", random.below(30), random.between(1, 13), random.between(1, 29))
            }
            Self::Amount => format!("{}.{:02}", random.below(1000), random.below(100)),
        }
    }
}

type Row = BTreeMap<String, Option<String>>;

/// A table at the source.
#[derive(Debug, Clone)]
struct Table {
    name: String,
    /// All but the key.
    columns: Vec<(String, Family)>,
    rows: BTreeMap<u64, Row>,
    next_id: u64,
    next_column: usize,
}

/// A sink table by its model.
#[derive(Debug, Clone, Default)]
struct Model {
    name: String,
    /// All but the key.
    columns: Vec<(String, Family)>,
    /// By source table and key.
    rows: BTreeMap<(String, u64), Row>,
    shared: bool,
    behaviour: String,
}

/// What a statement did, for the model.
enum Change {
    Write(u64),
    Remove(u64),
    Add(String, Family),
    Drop(String),
    Rename(String, String),
    /// Two columns took each other's names.
    Swap(String, String),
    /// A column went and another of its name came, in one statement.
    Replace(String),
    /// All rows went.
    Truncate,
    /// Its values are texts from here on.
    Retype(String),
    Nothing,
}

impl Table {
    fn new(name: String) -> Self {
        let columns = vec![("n0".to_owned(), Family::Number), ("t0".to_owned(), Family::Text)];
        Self { name, columns, rows: BTreeMap::new(), next_id: 1, next_column: 1 }
    }

    fn create(&self) -> String {
        format!("CREATE TABLE {} (id BIGINT NOT NULL PRIMARY KEY, n0 INT, t0 VARCHAR(40))", self.name)
    }

    /// A random statement, and what it did.
    fn step(&mut self, random: &mut Random) -> (String, Vec<Change>) {
        match random.below(18) {
            0..=3 => self.insert(random),
            4..=6 => self.update(random),
            7 => self.move_key(random),
            8 => self.delete(random),
            9 | 10 => self.add(random),
            11 => self.drop(random),
            12 => self.rename(random),
            13 => self.swap(random),
            14 => self.replace(random),
            15 => self.truncate(),
            _ => self.retype(random),
        }
    }

    /// Two columns of a family take each other's names.
    fn swap(&mut self, random: &mut Random) -> (String, Vec<Change>) {
        let Some((one, family)) = self.any_column(random) else { return self.insert(random) };
        let other = self.columns.iter().find(|(name, f)| *name != one && *f == family);
        let Some((other, _)) = other.cloned() else { return self.insert(random) };
        for row in self.rows.values_mut() {
            let (a, b) = (row[&one].clone(), row[&other].clone());
            row.extend([(one.clone(), b), (other.clone(), a)]);
        }
        let statement = format!(
            "ALTER TABLE {} RENAME COLUMN {one} TO {other}, RENAME COLUMN {other} TO {one}",
            self.name
        );
        (statement, vec![Change::Swap(one, other)])
    }

    fn replace(&mut self, random: &mut Random) -> (String, Vec<Change>) {
        let Some((name, family)) = self.any_column(random) else { return self.insert(random) };
        self.rows.values_mut().for_each(|row| {
            row.insert(name.clone(), None);
        });
        let statement = format!(
            "ALTER TABLE {} DROP COLUMN {name}, ADD COLUMN {name} {} NULL",
            self.name,
            family.declaration(random)
        );
        (statement, vec![Change::Replace(name)])
    }

    fn truncate(&mut self) -> (String, Vec<Change>) {
        self.rows.clear();
        (format!("TRUNCATE TABLE {}", self.name), vec![Change::Truncate])
    }

    fn insert(&mut self, random: &mut Random) -> (String, Vec<Change>) {
        let id = self.next_id;
        self.next_id += 1;
        let row: Row =
            self.columns.iter().map(|(name, family)| (name.clone(), value(*family, random))).collect();
        let values: Vec<String> = self.columns.iter().map(|(name, _)| literal(&row[name])).collect();
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let names = std::iter::once("id").chain(names).collect::<Vec<_>>().join(", ");
        let values = std::iter::once(id.to_string()).chain(values).collect::<Vec<_>>().join(", ");
        self.rows.insert(id, row);
        (format!("INSERT INTO {} ({names}) VALUES ({values})", self.name), vec![Change::Write(id)])
    }

    fn any_row(&self, random: &mut Random) -> Option<u64> {
        let ids: Vec<u64> = self.rows.keys().copied().collect();
        if ids.is_empty() { None } else { Some(*random.one_of(&ids)) }
    }

    fn any_column(&self, random: &mut Random) -> Option<(String, Family)> {
        if self.columns.is_empty() { None } else { Some(random.one_of(&self.columns).clone()) }
    }

    fn update(&mut self, random: &mut Random) -> (String, Vec<Change>) {
        let (Some(id), Some((name, family))) = (self.any_row(random), self.any_column(random)) else {
            return self.insert(random);
        };
        let new = value(family, random);
        let row = self.rows.get_mut(&id).expect("a row of the table");
        if row[&name] == new {
            // A server writes no event where nothing changes.
            return (String::new(), vec![Change::Nothing]);
        }
        row.insert(name.clone(), new.clone());
        (
            format!("UPDATE {} SET {name} = {} WHERE id = {id}", self.name, literal(&new)),
            vec![Change::Write(id)],
        )
    }

    fn move_key(&mut self, random: &mut Random) -> (String, Vec<Change>) {
        let Some(id) = self.any_row(random) else { return self.insert(random) };
        let to = self.next_id;
        self.next_id += 1;
        let row = self.rows.remove(&id).expect("a row of the table");
        self.rows.insert(to, row);
        (
            format!("UPDATE {} SET id = {to} WHERE id = {id}", self.name),
            vec![Change::Remove(id), Change::Write(to)],
        )
    }

    fn delete(&mut self, random: &mut Random) -> (String, Vec<Change>) {
        let Some(id) = self.any_row(random) else { return self.insert(random) };
        self.rows.remove(&id);
        (format!("DELETE FROM {} WHERE id = {id}", self.name), vec![Change::Remove(id)])
    }

    fn add(&mut self, random: &mut Random) -> (String, Vec<Change>) {
        let family = *random.one_of(&Family::ALL);
        // Some come back under a name that there was, with the family that it had.
        let prefix = family.letter();
        let number = if random.below(3) == 0 { random.below(4) as usize } else { self.next_column };
        self.next_column += 1;
        let name = format!("{prefix}{number}");
        if self.columns.iter().any(|(there, _)| *there == name) {
            return self.insert(random);
        }
        let place = match (random.below(3), self.any_column(random)) {
            (0, _) => " FIRST".to_owned(),
            (1, Some((other, _))) => format!(" AFTER {other}"),
            _ => String::new(),
        };
        self.columns.push((name.clone(), family));
        self.rows.values_mut().for_each(|row| {
            row.insert(name.clone(), None);
        });
        let declaration = family.declaration(random);
        (
            format!("ALTER TABLE {} ADD COLUMN {name} {declaration} NULL{place}", self.name),
            vec![Change::Add(name, family)],
        )
    }

    fn drop(&mut self, random: &mut Random) -> (String, Vec<Change>) {
        let Some((name, _)) = self.any_column(random).filter(|_| self.columns.len() > 1) else {
            return self.insert(random);
        };
        self.columns.retain(|(there, _)| *there != name);
        self.rows.values_mut().for_each(|row| {
            row.remove(&name);
        });
        // Letter case of names does not count.
        (format!("ALTER TABLE {} DROP COLUMN {}", self.name, name.to_uppercase()), vec![Change::Drop(name)])
    }

    fn rename(&mut self, random: &mut Random) -> (String, Vec<Change>) {
        let Some((old, family)) = self.any_column(random) else { return self.insert(random) };
        let new = format!("{}r{}", family.letter(), self.next_column);
        self.next_column += 1;
        self.columns.iter_mut().filter(|(name, _)| *name == old).for_each(|(name, _)| name.clone_from(&new));
        self.rows.values_mut().for_each(|row| {
            let value = row.remove(&old).flatten();
            row.insert(new.clone(), value);
        });
        (format!("ALTER TABLE {} RENAME COLUMN {old} TO {new}", self.name), vec![Change::Rename(old, new)])
    }

    fn retype(&mut self, random: &mut Random) -> (String, Vec<Change>) {
        let Some((name, family)) = self.any_column(random) else { return self.insert(random) };
        let alter = |to: &str| format!("ALTER TABLE {} MODIFY COLUMN {name} {to} NULL", self.name);
        match family {
            Family::Number if random.below(2) == 0 => (alter("BIGINT"), vec![Change::Nothing]),
            Family::Number => {
                let statement = alter("VARCHAR(60)");
                self.columns
                    .iter_mut()
                    .filter(|(there, _)| *there == name)
                    .for_each(|(_, f)| *f = Family::Text);
                (statement, vec![Change::Retype(name)])
            }
            Family::Text => (alter("TEXT"), vec![Change::Nothing]),
            Family::Date | Family::Amount => self.insert(random),
        }
    }
}

impl Model {
    fn apply(&mut self, source: &Table, change: &Change) {
        let adds = self.behaviour != "IGNORE";
        let follows = !self.shared && matches!(&*self.behaviour, "EVOLVE" | "TRY_EVOLVE");
        match change {
            Change::Nothing => {}
            Change::Remove(id) => {
                self.rows.remove(&(source.name.clone(), *id));
            }
            Change::Write(id) => {
                let row = self.columns.iter().map(|(name, family)| {
                    let there = source.columns.iter().find(|(n, _)| n == name);
                    // A text has no way into a number; everything has one into a text.
                    let fits = there.is_some_and(|(_, f)| f == family || *family == Family::Text);
                    (name.clone(), if fits { source.rows[id][name].clone() } else { None })
                });
                self.rows.insert((source.name.clone(), *id), row.collect());
            }
            Change::Add(name, family) if adds => self.add(name, *family),
            Change::Drop(name) if follows => {
                self.columns.retain(|(there, _)| there != name);
                self.rows.values_mut().for_each(|row| {
                    row.remove(name);
                });
            }
            Change::Rename(old, new) if follows => {
                self.columns
                    .iter_mut()
                    .filter(|(name, _)| name == old)
                    .for_each(|(name, _)| name.clone_from(new));
                self.rows.values_mut().for_each(|row| {
                    let value = row.remove(old).flatten();
                    row.insert(new.clone(), value);
                });
            }
            Change::Rename(_, new) if adds => {
                let family = source.columns.iter().find(|(name, _)| name == new).map(|(_, f)| *f);
                self.add(new, family.expect("the column that was renamed"));
            }
            Change::Swap(one, other) if follows => {
                for (name, _) in &mut self.columns {
                    let taken = if name == one { other } else { one };
                    if name == one || name == other {
                        name.clone_from(taken);
                    }
                }
                for row in self.rows.values_mut() {
                    let (a, b) = (row[one].clone(), row[other].clone());
                    row.extend([(one.clone(), b), (other.clone(), a)]);
                }
            }
            Change::Replace(name) if follows => self.rows.values_mut().for_each(|row| {
                row.insert(name.clone(), None);
            }),
            // Under `LENIENT` that is excluded unless the file says otherwise.
            Change::Truncate if follows => self.rows.clear(),
            Change::Retype(name) if adds => {
                self.columns
                    .iter_mut()
                    .filter(|(there, _)| there == name)
                    .for_each(|(_, f)| *f = Family::Text);
            }
            Change::Add(..) | Change::Drop(_) | Change::Rename(..) | Change::Retype(_) => {}
            Change::Swap(..) | Change::Replace(_) | Change::Truncate => {}
        }
    }

    fn add(&mut self, name: &str, family: Family) {
        match self.columns.iter_mut().find(|(there, _)| there == name) {
            // The sink kept it when the source dropped it.
            Some((_, there)) if *there != family => *there = Family::Text,
            Some(_) => {}
            None => {
                self.columns.push((name.to_owned(), family));
                self.rows.values_mut().for_each(|row| {
                    row.insert(name.to_owned(), None);
                });
            }
        }
    }

    /// Why the sink's table is not this one.
    fn differs(&self, sink: &Sink) -> Option<String> {
        let mut found = sink.columns(&self.name);
        let source = self.shared.then_some("origin");
        let mut want: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        want.extend(["id".to_owned()].into_iter().chain(source.map(str::to_owned)));
        found.sort();
        want.sort();
        if found != want {
            return Some(format!("`{}` has the columns {found:?}, not {want:?}", self.name));
        }
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let key = if self.shared { "origin, id" } else { "id" };
        let query = format!(
            "SELECT {} FROM {} ORDER BY {key}",
            [key].into_iter().chain(names.iter().copied()).collect::<Vec<_>>().join(", "),
            self.name
        );
        let found = match sink.try_execute(&query) {
            Ok(result) => result.rows,
            Err(error) => return Some(error.to_string()),
        };
        let want: Vec<Vec<Option<String>>> = self
            .rows
            .iter()
            .map(|((source, id), row)| {
                let origin = self.shared.then(|| Some(source.clone()));
                origin
                    .into_iter()
                    .chain([Some(id.to_string())])
                    .chain(names.iter().map(|n| row[*n].clone()))
                    .collect()
            })
            .collect();
        let found: Vec<Vec<Option<String>>> = found
            .into_iter()
            .map(|mut row| {
                // The model knows tables without their database.
                if self.shared
                    && let Some(Some(origin)) = row.first_mut()
                {
                    *origin = origin.split_once('.').map_or(origin.clone(), |(_, table)| table.to_owned());
                }
                row
            })
            .collect();
        (found != want).then(|| format!("`{}`: {query}\n  found {found:?}\n  want  {want:?}", self.name))
    }
}

fn value(family: Family, random: &mut Random) -> Option<String> {
    if random.below(8) == 0 { None } else { Some(family.value(random)) }
}

fn literal(value: &Option<String>) -> String {
    value.as_ref().map_or_else(|| "NULL".to_owned(), |text| format!("'{text}'"))
}

/// One table alone, and two shards that become one.
struct Scene {
    tables: Vec<Table>,
    alone: Model,
    merged: Model,
    random: Random,
    history: Vec<String>,
}

impl Scene {
    fn new(number: usize, behaviour: &str, random: &mut Random) -> Self {
        let tables: Vec<Table> = ["t", "a", "b"].map(|kind| Table::new(format!("{kind}{number}"))).into();
        let model = |name: String, shared: bool| Model {
            name,
            columns: tables[0].columns.clone(),
            rows: BTreeMap::new(),
            shared,
            behaviour: behaviour.to_owned(),
        };
        let (alone, merged) = (model(format!("t{number}"), false), model(format!("m{number}"), true));
        Self { alone, merged, tables, random: random.branch(), history: Vec::new() }
    }

    fn step(&mut self, session: &mut Session) {
        let place = usize::try_from(self.random.below(3)).expect("one of three");
        let table = &mut self.tables[place];
        let (statement, changes) = table.step(&mut self.random);
        if !statement.is_empty() {
            session.sql(&statement);
            self.history.push(statement);
        }
        let model = if place == 0 { &mut self.alone } else { &mut self.merged };
        changes.iter().for_each(|change| model.apply(&self.tables[place], change));
    }

    fn differs(&self, sink: &Sink) -> Option<String> {
        let difference = self.alone.differs(sink).or_else(|| self.merged.differs(sink))?;
        Some(format!("{difference}\nafter:\n  {}", self.history.join("\n  ")))
    }
}

fn follow(kind: Kind, behaviour: &str) {
    let mut random = Random::of_this_run(&format!("{behaviour} on {kind:?}"));
    let server = Server::shared(kind);
    let (source, emulator) = (server.database(), Emulator::start());
    let sink = emulator.sink();
    let mut scenes: Vec<Scene> = (0..SCENES).map(|n| Scene::new(n, behaviour, &mut random)).collect();
    let mut session = source.session();
    for scene in &scenes {
        scene.tables.iter().for_each(|table| session.sql(&table.create()));
    }
    let pipeline = Pipeline::new(&source, &emulator)
        .sink("buckets-num", "1")
        .option("schema.change.behavior", behaviour)
        .option("checkpoint.interval", "500ms")
        .block(&format!(
            "route:\n  - source-table: {0}.[ab](\\d+)\n    sink-table: ods_db.m$1\n    add-source-column: origin\n",
            source.name()
        ));
    let mut program = pipeline.start_and_wait();
    // A snapshot reads rows as they are by then; the model is one of the stream.
    eventually("the snapshot is over", || {
        let status = pipeline.status();
        let tables = status["tables"].as_array().cloned().unwrap_or_default();
        let done = !tables.is_empty() && tables.iter().all(|table| table["snapshot"] == "done");
        if done { Ok(()) } else { Err(status.to_string()) }
    });
    for _ in 0..ROUNDS {
        // Killed once a round, before one of its steps.
        let kill = random.below(STEPS as u64);
        for step in 0..STEPS as u64 {
            if step == kill {
                program = kill_and_start(program, &pipeline);
            }
            scenes.iter_mut().for_each(|scene| scene.step(&mut session));
        }
        for scene in &scenes {
            eventually("the sink is as the model says", || {
                program.assert_running();
                scene.differs(&sink).map_or(Ok(()), Err)
            });
        }
    }
    assert_eq!(program.stop(), Some(0), "{}", program.printed());
    for scene in &scenes {
        assert_eq!(scene.differs(&sink), None, "after the end");
    }
}

fn kill_and_start(mut program: Sluicebox, pipeline: &Pipeline) -> Sluicebox {
    program.assert_running();
    program.kill();
    pipeline.start()
}

fn evolve_follows_generated_changes(kind: Kind) {
    follow(kind, "EVOLVE");
}

fn try_evolve_follows_generated_changes(kind: Kind) {
    follow(kind, "TRY_EVOLVE");
}

fn lenient_follows_generated_changes(kind: Kind) {
    follow(kind, "LENIENT");
}

fn ignore_follows_generated_changes(kind: Kind) {
    follow(kind, "IGNORE");
}
