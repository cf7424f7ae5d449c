package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/vm"
)

// setVariables changes initial values of global variables: NAME=VALUE, where
// VALUE is what encodeValue takes; text need not be quoted.
func setVariables(obj *prog.Object, values []string) error {
	for _, v := range values {
		name, text, ok := strings.Cut(v, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return fmt.Errorf("--set %q is no VARIABLE=VALUE", v)
		}
		variable := obj.Variable(name)
		if variable == nil {
			return fmt.Errorf("--set %s: %s has no such variable; it has %s", name, obj.File, variableNames(obj))
		}
		b := make([]byte, variable.Size)
		if err := encodeValue(b, variable.Type, jsonOrText(text)); err != nil {
			return fmt.Errorf("--set %s: %w", name, err)
		}
		if err := variable.Set(b); err != nil {
			return fmt.Errorf("--set %s: %w", name, err)
		}
	}
	return nil
}

func variableNames(obj *prog.Object) string {
	names := make([]string, len(obj.Variables))
	for i, v := range obj.Variables {
		names[i] = v.Name
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// jsonOrText reads text as JSON, or takes it as it is.
func jsonOrText(text string) any {
	if v, err := decodeJSON([]byte(text)); err == nil {
		return v
	}
	return text
}

// decodeJSON reads exactly one JSON value, numbers as they are written.
func decodeJSON(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}

// fillMaps stores the entries of files in maps of the collection: NAME=FILE.
// A file holds either
//
//	{"KEY HEX": "VALUE HEX", …}          what run --dump-maps --json prints, or
//	[{"key": KEY, "value": VALUE}, …]    in the forms that encodeValue takes
//
// Per-CPU maps: VALUE is stored for every CPU; VALUE HEX may hold the values of
// all CPUs.
func fillMaps(coll *vm.Collection, values []string) error {
	for _, v := range values {
		name, file, ok := strings.Cut(v, "=")
		if !ok || name == "" || file == "" {
			return fmt.Errorf("--map %q is no NAME=FILE", v)
		}
		m := coll.Map(name)
		if m == nil {
			return fmt.Errorf("--map %s: the object has no such map; it has %s", name, strings.Join(mapNames(coll), ", "))
		}
		b, err := readFile(file)
		if err != nil {
			return err
		}
		if err := fillMap(m, b); err != nil {
			return fmt.Errorf("--map %s: %s: %w", name, file, err)
		}
	}
	return nil
}

func fillMap(m maps.Map, file []byte) error {
	v, err := decodeJSON(file)
	if err != nil {
		return err
	}
	switch v := v.(type) {
	case map[string]any:
		for k, value := range v {
			text, ok := value.(string)
			if !ok {
				return fmt.Errorf("key %s: the value is %s, and no string of hexadecimal digits", k, jsonText(value))
			}
			if err := storeEntry(m, "hex:"+strings.TrimPrefix(k, "0x"), "hex:"+strings.TrimPrefix(text, "0x")); err != nil {
				return fmt.Errorf("key %s: %w", k, err)
			}
		}
		return nil
	case []any:
		for i, e := range v {
			entry, ok := e.(map[string]any)
			if !ok || len(entry) != 2 || entry["key"] == nil || entry["value"] == nil {
				return fmt.Errorf("[%d]: %s is no {\"key\": …, \"value\": …}", i, jsonText(e))
			}
			if err := storeEntry(m, entry["key"], entry["value"]); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return nil
	}
	return fmt.Errorf("%s is neither a list of entries nor an object", jsonText(v))
}

// storeEntry encodes one entry and stores it.
func storeEntry(m maps.Map, k, v any) error {
	s := m.Spec()
	key := make([]byte, s.KeySize)
	if err := encodeValue(key, s.Key, k); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	value := make([]byte, s.HostValueSize())
	if err := encodeMapValue(value, s, v); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	return m.Update(key, value, maps.Any)
}

// encodeMapValue encodes v for Map.Update: of a per-CPU map, once for each
// CPU, or as it is if it holds the values of all.
func encodeMapValue(dst []byte, s *maps.Spec, v any) error {
	size := int(s.ValueSize)
	if len(dst) == size {
		return encodeValue(dst, s.Value, v)
	}
	if text, ok := v.(string); ok {
		if b, err := literalBytes(text); err == nil && len(b) == len(dst) {
			copy(dst, b)
			return nil
		}
	}
	stride := (size + 7) &^ 7
	if err := encodeValue(dst[:size], s.Value, v); err != nil {
		return err
	}
	for at := stride; at < len(dst); at += stride {
		copy(dst[at:at+size], dst[:size])
	}
	return nil
}

// A mapEntry is one entry of a map as Go code sees it.
type mapEntry struct{ key, value []byte }

// entries returns what m holds: entries in the map's order, or the records
// that wait in a ring buffer, which this takes out, under consecutive numbers.
func entries(m maps.Map) ([]mapEntry, error) {
	s := m.Spec()
	switch s.Type {
	case maps.RingBuf:
		return records(m)
	case maps.ProgArray:
		return programEntries(m)
	}
	var list []mapEntry
	var key []byte
	next := make([]byte, s.KeySize)
	for {
		switch err := m.NextKey(key, next); err {
		case nil:
		case maps.ErrKeyNotExist:
			return list, nil
		default:
			return list, err
		}
		value := make([]byte, s.HostValueSize())
		switch err := m.Lookup(next, value); err {
		case nil:
			list = append(list, mapEntry{bytes.Clone(next), value})
		case maps.ErrKeyNotExist: // deleted meanwhile
		default:
			return list, err
		}
		key = append(key[:0], next...)
	}
}

// zero reports whether b holds nothing but zeros.
func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// formatValue returns b as C would write a value of type t; without a type,
// integers as numbers and all else as hexadecimal digits.
func formatValue(t *btf.Type, b []byte) string {
	if t != nil {
		return string(t.AppendC(nil, b))
	}
	return fmt.Sprintf("%x", b)
}
