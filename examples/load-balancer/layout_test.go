package main

import (
	"encoding/binary"
	"reflect"
	"testing"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/maps"
)

// TestLayout compares the structs of layout.go with those in the object.
func TestLayout(t *testing.T) {
	obj, err := load(object, Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		table      string
		key, value any
	}{
		{"vips", cService{}, cVIP{}},
		{"addresses", [16]byte{}, uint32(0)},
		{"backends", uint32(0), cBackend{}},
		{"connections", cFlow{}, cConnection{}},
		{"outcomes", uint32(0), Counter{}},
		{"backend_counters", uint32(0), Counter{}},
		{"vip_counters", uint32(0), cVIPCounter{}},
		{"lost_events", uint32(0), uint64(0)},
	} {
		m := obj.Map(tc.table)
		sameLayout(t, tc.table+" key", m.Key, m.KeySize, tc.key)
		sameLayout(t, tc.table+" value", m.Value, m.ValueSize, tc.value)
	}
	rings := obj.Map("rings")
	for _, tc := range []struct {
		name      string
		got, want uint32
	}{
		{"MAX_VIPS", rings.MaxEntries, maxVIPs},
		{"RING_SIZE", rings.Inner.MaxEntries, ringSize},
		{"MAX_BACKENDS", obj.Map("backends").MaxEntries, maxBackends},
		{"NUM_OUTCOMES", obj.Map("outcomes").MaxEntries, uint32(numOutcomes)},
	} {
		if tc.got != tc.want {
			t.Errorf("%s is %d, here %d", tc.name, tc.got, tc.want)
		}
	}
	if m := obj.Map("events"); m.Type != maps.RingBuf || binary.Size(cEvent{}) != 64 {
		t.Errorf("%v with events of %d bytes", m.Type, binary.Size(cEvent{}))
	}
}

// sameLayout compares sizes, and where the fields of structs are.
func sameLayout(t *testing.T, what string, c *btf.Type, size uint32, x any) {
	t.Helper()
	if binary.Size(x) != int(size) {
		t.Errorf("%s has %d bytes, %T has %d", what, size, x, binary.Size(x))
	}
	typ := reflect.TypeOf(x)
	if typ.Kind() != reflect.Struct {
		return
	}
	members := c.Underlying().Members
	if len(members) != typ.NumField() {
		t.Errorf("%s has %d fields, %T has %d", what, len(members), x, typ.NumField())
		return
	}
	at := 0
	for i := range typ.NumField() {
		if members[i].Offset != uint32(8*at) { // in bits
			t.Errorf("%s: %s is at bit %d, %s.%s at %d", what, members[i].Name, members[i].Offset, typ, typ.Field(i).Name, 8*at)
		}
		at += binary.Size(reflect.Zero(typ.Field(i).Type).Interface())
	}
}
