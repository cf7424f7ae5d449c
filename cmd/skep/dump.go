package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/vm"
)

func mapNames(coll *vm.Collection) []string {
	var names []string
	for name := range coll.Maps() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// dumpJSON returns every map as an object of keys and values in hexadecimal.
func dumpJSON(coll *vm.Collection) (map[string]map[string]string, error) {
	dump := map[string]map[string]string{}
	for _, name := range mapNames(coll) {
		list, err := entries(coll.Map(name))
		if err != nil {
			return nil, fmt.Errorf("map %s: %w", name, err)
		}
		m := map[string]string{}
		for _, e := range list {
			m[hex.EncodeToString(e.key)] = hex.EncodeToString(e.value)
		}
		dump[name] = m
	}
	return dump, nil
}

// writeMaps writes every map that has entries to the file called name, or to out
// if that is "-", as maps.WriteJSON does.
func writeMaps(out io.Writer, name string, coll *vm.Collection) error {
	var b bytes.Buffer
	sep := "{"
	for _, name := range mapNames(coll) {
		var m bytes.Buffer
		err := maps.WriteJSON(&m, coll.Map(name))
		if errors.Is(err, errno.ENOTSUPP) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s%s:%s", sep, strconv.Quote(name), bytes.TrimSuffix(m.Bytes(), []byte("\n")))
		sep = ","
	}
	if b.Len() == 0 {
		b.WriteString(sep)
	}
	b.WriteString("}\n")
	if name == "-" {
		_, err := out.Write(b.Bytes())
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o666)
}

// dumpText prints every map with its types. Entries of arrays that hold only
// zeros are counted, not printed.
func dumpText(w io.Writer, coll *vm.Collection) error {
	for _, name := range mapNames(coll) {
		m := coll.Map(name)
		list, err := entries(m)
		if err != nil {
			return fmt.Errorf("map %s: %w", name, err)
		}
		s := m.Spec()
		fmt.Fprintf(w, "\n%s: %s, %s\n", name, s.Type, plural(len(list), "entry", "entries"))
		skipped := 0
		isArray := s.Type == maps.Array || s.Type == maps.PerCPUArray
		for _, e := range list {
			if isArray && len(list) > 1 && zero(e.value) {
				skipped++
				continue
			}
			dumpEntry(w, s, e)
		}
		if skipped > 0 {
			fmt.Fprintf(w, "  %s of zeros\n", plural(skipped, "entry", "entries"))
		}
	}
	return nil
}

func dumpEntry(w io.Writer, s *maps.Spec, e mapEntry) {
	key := formatValue(s.Key, e.key)
	if s.Key == nil && len(e.key) == 4 && (s.Type == maps.Array || s.Type == maps.PerCPUArray || s.Type == maps.RingBuf) {
		key = fmt.Sprint(binary.LittleEndian.Uint32(e.key))
	}
	size := int(s.ValueSize)
	if s.Type == maps.RingBuf || s.Type == maps.ProgArray || len(e.value) == size {
		fmt.Fprintf(w, "  [%s] = %s\n", key, formatValue(s.Value, e.value))
		return
	}
	for cpu, stride := 0, (size+7)&^7; (cpu+1)*stride <= len(e.value); cpu++ {
		if v := e.value[cpu*stride : cpu*stride+size]; !zero(v) {
			fmt.Fprintf(w, "  [%s] CPU %d = %s\n", key, cpu, formatValue(s.Value, v))
		}
	}
}

// records takes the records out of a ring buffer.
func records(m maps.Map) ([]mapEntry, error) {
	r, err := maps.NewRingBufReader(m)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	done, cancel := context.WithCancel(context.Background())
	cancel() // so that reading never waits
	var list []mapEntry
	for {
		rec, err := r.Read(done)
		if errors.Is(err, context.Canceled) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		key := binary.LittleEndian.AppendUint32(nil, uint32(len(list)))
		list = append(list, mapEntry{key, rec.Data})
	}
}

// programEntries returns the places of a program array that hold a program,
// with the program's name.
func programEntries(m maps.Map) ([]mapEntry, error) {
	array, ok := m.(maps.ProgramArray)
	if !ok {
		return nil, nil
	}
	var list []mapEntry
	for i := range m.Spec().MaxEntries {
		if p, ok := array.Load(i).(*vm.Program); ok {
			list = append(list, mapEntry{binary.LittleEndian.AppendUint32(nil, i), []byte(p.Name())})
		}
	}
	return list, nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
