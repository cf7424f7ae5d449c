package main

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/tested"
	skepmaps "github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/verifier"
)

// The last of each, on Linux 6.18.
const (
	lastMap    = skepmaps.Arena
	lastHelper = 211
)

// mapRows asks for a map of each type.
func mapRows() (rows []row) {
	compared := tested.Maps()
	for t := skepmaps.Type(1); t <= lastMap; t++ {
		name := t.String()
		r := row{number: strconv.Itoa(int(t)), name: name, verified: notVerified[name], runs: notRunning[name], tested: notCompared[name], inline: inlineReason(name)}
		if len(verifier.MapHelpers(t)) > 0 {
			r.verified = yes
		}
		m, err := skepmaps.New(sample(t))
		if err == nil {
			r.runs = yes
			if skepmaps.LayoutOf(m) != nil {
				r.inline = yes
			}
			m.Close()
		}
		switch {
		case compared[t]:
			r.tested = yes
		case r.runs != yes:
			r.tested = absent
		}
		rows = append(rows, r)
	}
	return rows
}

// inlineReason says why lookups in maps of a type are no code of the program.
func inlineReason(name string) string {
	if slices.Contains(verifier.MapHelpers(typeOf(name)), "map_lookup_elem") {
		return called
	}
	return "no lookups"
}

func typeOf(name string) skepmaps.Type {
	for t := skepmaps.Type(1); t <= lastMap; t++ {
		if t.String() == name {
			return t
		}
	}
	return 0
}

// sample describes a map of type t.
func sample(t skepmaps.Type) *skepmaps.Spec {
	s := &skepmaps.Spec{Name: "sample", Type: t, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	switch t {
	case skepmaps.RingBuf, skepmaps.UserRingBuf:
		s.KeySize, s.ValueSize, s.MaxEntries = 0, 0, 4096
	case skepmaps.Queue, skepmaps.Stack, skepmaps.BloomFilter:
		s.KeySize = 0
	case skepmaps.LPMTrie:
		s.KeySize, s.Flags = 8, skepmaps.NoPrealloc
	case skepmaps.StackTrace:
		s.ValueSize = 8 * 16
	case skepmaps.ArrayOfMaps, skepmaps.HashOfMaps:
		s.Inner = sample(skepmaps.Array)
	case skepmaps.SKStorage, skepmaps.InodeStorage, skepmaps.TaskStorage, skepmaps.CgrpStorage:
		s.MaxEntries, s.Flags = 0, skepmaps.NoPrealloc
	case skepmaps.CgroupStorage, skepmaps.PerCPUCgroupStorage:
		s.KeySize, s.MaxEntries = 8, 0
	}
	return s
}

// helperRows asks every program type for each helper.
func helperRows() (rows []row) {
	compared := tested.Helpers()
	for id := helpers.ID(1); id <= lastHelper; id++ {
		r := row{number: strconv.Itoa(int(id))}
		var running, missing []string // types
		why := ""
		for _, t := range linux.Types() {
			f := t.Helpers.Helper(id)
			if f == nil {
				continue
			}
			r.name, r.verified = f.Name, yes
			switch {
			case f.Impl != nil && f.Missing(nil) != "":
				running, why = append(running, typeName(t)), f.Missing(nil)
			case f.Impl != nil || f.Proto.Control == helpers.TailCall:
				running = append(running, typeName(t))
			default:
				missing = append(missing, typeName(t))
				r.runs = "needs " + f.Missing(nil)
			}
			if i := f.Inline(); i != helpers.InlineNone && i != helpers.InlineBound || f == helpers.Loop || f == helpers.ForEachMapElem {
				r.inline = yes
			}
		}
		if len(running) > 0 {
			r.runs = yes
			if why != "" {
				r.runs += ", if the host gives `" + why + "`"
			}
			if len(missing) > 0 {
				r.runs += "; not in " + strings.Join(slices.Compact(slices.Sorted(slices.Values(missing))), ", ")
			}
		}
		switch {
		case compared[int32(id)]:
			r.tested = yes
		case len(running) == 0:
			r.tested = absent
		case why != "":
			r.tested = hosts
		default:
			r.tested = notCompared[r.name]
		}
		if r.inline == "" {
			r.inline = called
		}
		rows = append(rows, r)
	}
	return rows
}

func typeName(t *hook.Type) string {
	if t.Attach != "" {
		return t.Name + "/" + t.Attach
	}
	return t.Name
}

// kfuncRows asks for the contracts that are known, and for those that program
// types have besides.
func kfuncRows() (rows []row) {
	known := map[string]*helpers.Func{}
	offered := map[string]bool{}
	for _, name := range helpers.KfuncNames() {
		known[name] = helpers.Kfunc(name)
	}
	for _, t := range linux.Types() {
		for _, name := range t.Helpers.Kfuncs() {
			f := t.Helpers.Kfunc(name)
			known[name] = f
			offered[name] = offered[name] || f.Impl != nil || f.Proto.Control == helpers.Throw
		}
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		f := known[name]
		r := row{name: name, verified: yes, runs: notRunning[name], tested: absent, inline: called}
		if offered[name] || f.Impl != nil || f.Proto.Control == helpers.Throw {
			r.runs, r.tested = yes, notCompared[name]
			if tested.Kfuncs()[name] {
				r.tested = yes
			}
		}
		if f.Inline() != helpers.InlineNone {
			r.inline = yes
		}
		rows = append(rows, r)
	}
	return rows
}
