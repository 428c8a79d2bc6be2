//! The plugin interface as a page for people, made of its definition.

use std::fmt::Write as _;

use wit_parser::{
    Docs, Function, Interface, Resolve, Type, TypeDef, TypeDefKind, World, WorldItem, WorldKey,
};

/// The definition, as authors' tools read it: WIT.
pub const DEFINITION: &str = include_str!("../../../wit/transform.wit");

/// The page in Markdown: every interface, type and function with what the definition says of it.
///
/// # Errors
/// When the definition cannot be parsed, which would be a defect of this program.
pub fn reference() -> Result<String, String> {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("transform.wit", DEFINITION).map_err(|error| format!("{error:#}"))?;
    let package = &resolve.packages[package];
    let mut page = format!("# Plugin interface\n\n`{}`\n", package.name);
    paragraph(&mut page, &package.docs);
    for world in package.worlds.values() {
        describe_world(&mut page, &resolve, &resolve.worlds[*world]);
    }
    for interface in package.interfaces.values() {
        describe_interface(&mut page, &resolve, &resolve.interfaces[*interface]);
    }
    Ok(page)
}

fn describe_world(page: &mut String, resolve: &Resolve, world: &World) {
    let _ = writeln!(page, "\n## world `{}`", world.name);
    paragraph(page, &world.docs);
    page.push('\n');
    let names = |items: &wit_parser::IndexMap<WorldKey, WorldItem>| {
        let names: Vec<_> = items.keys().map(|key| format!("`{}`", resolve.name_world_key(key))).collect();
        names.join(", ")
    };
    let _ = writeln!(page, "- imports {}", names(&world.imports));
    let _ = writeln!(page, "- exports {}", names(&world.exports));
}

fn describe_interface(page: &mut String, resolve: &Resolve, interface: &Interface) {
    let _ = writeln!(page, "\n## interface `{}`", interface.name.as_deref().unwrap_or_default());
    paragraph(page, &interface.docs);
    for (name, id) in &interface.types {
        let definition = &resolve.types[*id];
        // A name that is only taken over from another interface is described there.
        if !matches!(definition.kind, TypeDefKind::Type(_)) {
            describe_type(page, resolve, name, definition);
        }
    }
    for function in interface.functions.values() {
        describe_function(page, resolve, function);
    }
}

fn describe_type(page: &mut String, resolve: &Resolve, name: &str, definition: &TypeDef) {
    let _ = writeln!(page, "\n### {} `{name}`", definition.kind.as_str());
    paragraph(page, &definition.docs);
    let rows: Vec<[String; 3]> = match &definition.kind {
        TypeDefKind::Record(record) => {
            let row = |f: &wit_parser::Field| [f.name.clone(), spell(resolve, &f.ty), line(&f.docs)];
            record.fields.iter().map(row).collect()
        }
        TypeDefKind::Variant(variant) => {
            let carried = |ty: &Option<Type>| ty.as_ref().map(|ty| spell(resolve, ty)).unwrap_or_default();
            variant.cases.iter().map(|c| [c.name.clone(), carried(&c.ty), line(&c.docs)]).collect()
        }
        TypeDefKind::Enum(cases) => {
            cases.cases.iter().map(|c| [c.name.clone(), String::new(), line(&c.docs)]).collect()
        }
        _ => Vec::new(),
    };
    if rows.is_empty() {
        return;
    }
    page.push_str("\n| name | type | meaning |\n|---|---|---|\n");
    for [name, ty, meaning] in rows {
        let ty = if ty.is_empty() { ty } else { format!("`{ty}`") };
        let _ = writeln!(page, "| `{name}` | {ty} | {} |", meaning.replace('|', "\\|"));
    }
}

fn describe_function(page: &mut String, resolve: &Resolve, function: &Function) {
    let given: Vec<_> =
        function.params.iter().map(|p| format!("{}: {}", p.name, spell(resolve, &p.ty))).collect();
    let result = function.result.map(|ty| format!(" -> {}", spell(resolve, &ty))).unwrap_or_default();
    let _ = writeln!(page, "\n### `{}`\n\n    {0}({}){result}", function.name, given.join(", "));
    paragraph(page, &function.docs);
}

/// A type as the definition writes it.
fn spell(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else {
        return match ty {
            Type::Bool => "bool",
            Type::U8 => "u8",
            Type::U16 => "u16",
            Type::U32 => "u32",
            Type::U64 => "u64",
            Type::S8 => "s8",
            Type::S16 => "s16",
            Type::S32 => "s32",
            Type::S64 => "s64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Char => "char",
            Type::String => "string",
            Type::ErrorContext | Type::Id(_) => "error-context",
        }
        .to_owned();
    };
    let definition = &resolve.types[*id];
    if let Some(name) = &definition.name {
        return name.clone();
    }
    match &definition.kind {
        TypeDefKind::List(inner) => format!("list<{}>", spell(resolve, inner)),
        TypeDefKind::Option(inner) => format!("option<{}>", spell(resolve, inner)),
        TypeDefKind::Result(result) => {
            let part = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), |ty| spell(resolve, ty));
            format!("result<{}, {}>", part(&result.ok), part(&result.err))
        }
        kind => kind.as_str().to_owned(),
    }
}

fn paragraph(page: &mut String, docs: &Docs) {
    if let Some(text) = &docs.contents {
        let _ = writeln!(page, "\n{}", text.trim_end());
    }
}

/// A text of several lines on one, as cells of tables have it.
fn line(docs: &Docs) -> String {
    docs.contents.as_deref().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_item_of_the_definition_is_on_the_page_with_its_meaning() {
        let page = super::reference().expect("the definition is sound");
        for words in [
            "## world `transform`",
            "## interface `types`\n\nThe data of the interface.",
            "### record `plan`",
            "| `reads` | `list<read>` | What `process` is to be given, in this order. |",
            "| `ints` | `list<s64>` | Signed numbers. |",
            "### `process`\n\n    process(id: u32, batch: batch) -> result<outcome, string>",
        ] {
            assert!(page.contains(words), "{words}\n{page}");
        }
        assert!(!page.contains("| |\n"), "an item without a meaning:\n{page}");
    }
}
