// Masks e-mail addresses: ada@example.org becomes a***@example.org, or *** when the domain is not to be kept.
//
//	config: { columns: [email, backup_email], keep-domain: true }
//
// What is no address, since it has no @, becomes ***. Nulls stay nulls.
package main

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"sluicebox"
)

type maskEmail struct {
	Columns    []string
	KeepDomain bool `json:"keep-domain"`
}

func start(config []byte) (sluicebox.Transform[[]sluicebox.Text], error) {
	var m maskEmail
	if err := json.Unmarshal(config, &m); err != nil {
		return nil, err
	}
	if m.Columns == nil {
		return nil, errors.New("`columns` is missing")
	}
	return m, nil
}

func (m maskEmail) Plan(_ *sluicebox.Table, plan *sluicebox.Plan) ([]sluicebox.Text, error) {
	var columns []sluicebox.Text
	for _, column := range m.Columns {
		columns = append(columns, plan.RewriteText(column))
	}
	return columns, nil
}

func (m maskEmail) Row(columns []sluicebox.Text, row *sluicebox.Row) (sluicebox.Verdict, error) {
	for _, column := range columns {
		address, ok := row.Text(column)
		if !ok {
			continue
		}
		at := strings.LastIndexByte(address, '@')
		if at < 0 || !m.KeepDomain {
			row.SetText(column, "***")
			continue
		}
		_, first := utf8.DecodeRuneInString(address[:at])
		row.SetText(column, address[:first], "***", address[at:])
	}
	return sluicebox.Keep, nil
}

func init() { sluicebox.Export("mask-email-go", "0.1.0", start) }

func main() {}
