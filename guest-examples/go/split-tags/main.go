// Makes a row for each part of a text column.
//
//	config: { column: tags, separator: ",", into: tag }
//
// A row with the tags red,blue becomes two, with red and blue in the new column tag, which takes the old one's place and joins the key.
// Blanks around parts do not count, a part that occurs twice counts once, and a row without parts makes none.
package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"sluicebox"
)

type splitTags struct {
	Column    string
	Separator string
	Into      string
}

type columns struct{ all, one sluicebox.Text }

func start(config []byte) (sluicebox.Transform[columns], error) {
	s := splitTags{Separator: ","}
	if err := json.Unmarshal(config, &s); err != nil {
		return nil, err
	}
	if s.Column == "" || s.Into == "" || s.Separator == "" {
		return nil, errors.New("`column` or `into` is missing, or `separator` is empty")
	}
	return &s, nil
}

func (s *splitTags) Plan(table *sluicebox.Table, plan *sluicebox.Plan) (columns, error) {
	all := plan.Text(s.Column)
	one := plan.AddText(s.Into, sluicebox.Type{Type: sluicebox.TypeText}, false)
	plan.Remove(s.Column)
	key := table.Key()
	// Rows of a table without a key stay without one.
	if len(key) > 0 {
		key = append(key, s.Into)
	}
	plan.Key(key...)
	plan.Expand()
	return columns{all, one}, nil
}

func (s *splitTags) Row(c columns, row *sluicebox.Row) (sluicebox.Verdict, error) {
	tags, _ := row.Text(c.all)
	var seen []string
	for part := range strings.SplitSeq(tags, s.Separator) {
		part = strings.TrimSpace(part)
		if part == "" || slices.Contains(seen, part) {
			continue
		}
		seen = append(seen, part)
		row.SetText(c.one, part)
		row.Emit()
	}
	return sluicebox.Drop, nil
}

func init() { sluicebox.Export("split-tags-go", "0.1.0", start) }

func main() {}
