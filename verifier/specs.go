package verifier

import (
	"math"

	"github.com/skepvm/skep/maps"
)

// Maps go by number: those of the program by their index there, and after them
// the templates of inner maps. Of a template only the sizes and the type hold
// for the maps that programs meet: contents and number of entries do not.

// A mapInfo is what the verifier needs of a map besides its spec.
type mapInfo struct {
	spec    *maps.Spec
	inner   int32 // number of the template; −1: none
	special []special
}

// A special is a field of a map value that only helpers may touch.
type special = maps.Special

// newMaps numbers the maps of the program and their templates.
func (v *verifier) newMaps() {
	for _, s := range v.p.Maps {
		v.maps = append(v.maps, mapInfo{spec: s, inner: -1, special: maps.SpecialOf(s)})
	}
	for i := 0; i < len(v.maps); i++ {
		s := v.maps[i].spec
		if s.Inner == nil || s.Type != maps.ArrayOfMaps && s.Type != maps.HashOfMaps {
			continue
		}
		if i >= len(v.p.Maps) {
			continue // a template of maps of maps: the kernel has none, nor have we
		}
		v.maps[i].inner = int32(len(v.maps))
		v.maps = append(v.maps, mapInfo{spec: s.Inner, inner: -1, special: maps.SpecialOf(s.Inner)})
	}
	for i := range v.maps {
		v.maxKey = max(v.maxKey, int(min(v.maps[i].spec.KeySize, math.MaxInt32)))
		v.maxValue = max(v.maxValue, int(min(v.maps[i].spec.ValueSize, math.MaxInt32)))
	}
}

// spec returns the description of map i.
func (v *verifier) spec(i int32) *maps.Spec { return v.maps[i].spec }

// outers returns the maps that have the templates, by number.
func (v *verifier) outers() (outer []int32) {
	for i := range v.p.Maps {
		if v.maps[i].inner >= 0 {
			outer = append(outer, int32(i))
		}
	}
	return outer
}

// isTemplate reports whether i stands for any inner map that fits it.
func (v *verifier) isTemplate(i int32) bool { return int(i) >= len(v.p.Maps) }

// special returns the field of map i's value that overlaps [lo, hi), or nil.
func (v *verifier) special(i int32, lo, hi int64) *special {
	for j := range v.maps[i].special {
		if f := &v.maps[i].special[j]; lo < int64(f.Off)+int64(f.Size) && hi > int64(f.Off) {
			return f
		}
	}
	return nil
}

// specialAt returns the field of the C type kind that begins at off.
func (v *verifier) specialAt(i int32, kind string, off int64) *special {
	for j := range v.maps[i].special {
		if f := &v.maps[i].special[j]; f.Kind == kind && int64(f.Off) == off {
			return f
		}
	}
	return nil
}
