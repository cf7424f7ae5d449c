package maps_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"structs"
	"testing"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/errno"
	"github.com/skepvm/skep/internal/mem"
	"github.com/skepvm/skep/maps"
)

// typesMap returns a new map that testdata/types.c declares.
func typesMap(t testing.TB, name string) maps.Map {
	t.Helper()
	m, err := maps.New(typesSpec(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func typesSpec(t testing.TB, name string) *maps.Spec {
	t.Helper()
	obj, err := elf.Open("testdata/types.o")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(obj.Maps, func(s *maps.Spec) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no map %s", name)
	}
	return obj.Maps[i]
}

// Go types for those of testdata/types.c.
type (
	flow struct {
		SrcAddr, DstAddr uint32
		Port             uint16
		Proto            uint8
	}
	stats struct {
		_         structs.HostLayout
		Seen      uint8
		_         [7]byte
		Packets   uint64
		Bytes     uint64
		LastPorts [3]uint16
		Blocked   bool
		_         [1]byte
	}
	everything struct {
		S8      int8
		U8      uint8
		S16     int16
		S32     int32
		S64     int64
		U64     uint64
		_       [8]byte
		U128    [16]byte
		Yes     bool
		Letter  int8
		Name    [12]int8
		Mac     [6]uint8
		Exact   [4]int8
		Color   int32
		_       [4]byte // Go aligns uint64 to 4 bytes on 32-bit hosts
		Wide    uint64
		Pointer uint64
		Flow    uint64
		_       [4]byte // low, mid, negative
		Word    uint32
		Named   struct {
			ID uint64
			_  [8]byte
		}
		Inner     uint8
		_         [3]byte
		Qualified uint32
		Matrix    [2][3]uint16
		Flows     [2]flow
		_         [4]byte
	}
)

func TestTypedFits(t *testing.T) {
	fits := func(name string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := maps.NewTyped[flow, stats](typesMap(t, "flows"))
	fits("flows", err)
	_, err = maps.NewTyped[uint32, everything](typesMap(t, "everything"))
	fits("everything", err)
	_, err = maps.NewTyped[uint32, []stats](typesMap(t, "cpus"))
	fits("cpus", err)
	_, err = maps.NewTyped[[12]byte, []uint16](typesMap(t, "cpu_flows"))
	fits("bytes for a struct", err)
	_, err = maps.NewTyped[uint64, int32](typesMap(t, "recent"))
	fits("an enum", err)
	_, err = maps.NewTyped[struct{ ID uint64 }, uint32](typesMap(t, "recent"))
	fits("a struct of one field", err)
	_, err = maps.NewTyped[uint32, struct{ Lock, Count uint32 }](typesMap(t, "locked"))
	fits("a lock", err)
	_, err = maps.NewTyped[struct{}, flow](typesMap(t, "queue"))
	fits("no keys", err)
	_, err = maps.NewTyped[[3]uint16, [10]byte](typesMap(t, "untyped"))
	fits("no types", err)
	_, err = maps.NewTyped[uint32, struct {
		Unlucky uint32 `bpf:"last"`
	}](typesMap(t, ".data"))
	fits("a tag", err)
	type common struct{ SrcAddr, DstAddr uint32 }
	_, err = maps.NewTyped[struct {
		common
		Port  uint16
		Proto uint8
	}, struct {
		_     [8]byte
		Count [8]byte `bpf:"packets"`
		_     [16]byte
	}](typesMap(t, "flows"))
	fits("embedded, tagged and blank fields", err)
}

// TestTypedDiffers checks that the first difference is named.
func TestTypedDiffers(t *testing.T) {
	m := typesMap(t, "flows")
	flowsError := func(_ any, err error) error { return err }
	for _, tc := range []struct {
		name string
		err  error
		want string
	}{
		{"offset", flowsError(maps.NewTyped[struct {
			SrcAddr, DstAddr uint32
			Proto            uint8
			Port             uint16
		}, stats](m)), `map "flows": key: struct { SrcAddr uint32; DstAddr uint32; Proto uint8; Port uint16 }.Proto is at offset 8, member proto of struct flow at 10`},
		{"no such member", flowsError(maps.NewTyped[struct {
			SrcAddr, DestAddr uint32
			Port              uint16
			Proto             uint8
		}, stats](m)), `.DestAddr has no member in struct flow; its members are src_addr, dst_addr, port, proto`},
		{"missing field", flowsError(maps.NewTyped[struct {
			SrcAddr, DstAddr uint32
			Port             uint16
		}, stats](m)), `has no field for member proto of struct flow, at offset 10`},
		{"size of a field", flowsError(maps.NewTyped[struct {
			SrcAddr uint64
			Port    uint16
			Proto   uint8
		}, stats](m)), `.SrcAddr has 8 bytes, in C __u32 has 4`},
		{"size", flowsError(maps.NewTyped[struct {
			SrcAddr, DstAddr uint32
			Port             uint16
			Proto            uint8
			_                [2]byte
		}, stats](m)), `has 16 bytes, in C struct flow has 12`},
		{"kind", flowsError(maps.NewTyped[flow, struct {
			Seen      uint8
			_         [7]byte
			Packets   float64
			Bytes     uint64
			LastPorts [3]uint16
			Blocked   bool
		}](m)), `.Packets is of type float64, in C it is __u64`},
		{"length", flowsError(maps.NewTyped[flow, struct {
			Seen           uint8
			_              [7]byte
			Packets, Bytes uint64
			LastPorts      [2]uint16
			Blocked        bool
		}](m)), `.LastPorts has 2 elements, in C 3`},
		{"bit-field", flowsError(maps.NewTyped[uint32, struct {
			_   [108]byte
			Low uint32
			_   [60]byte
		}](typesMap(t, "everything"))), `member low of struct everything is a bit-field`},
		{"pointer", flowsError(maps.NewTyped[flow, struct{ Seen *uint8 }](m)), `.Seen is of type *uint8, which no map can hold`},
		{"string", flowsError(maps.NewTyped[string, stats](m)), `key: string is of type string, which no map can hold`},
		{"int", flowsError(maps.NewTyped[flow, struct{ Seen int }](m)), `.Seen is of type int, whose size depends on the host: use int32 or int64`},
		{"slice", flowsError(maps.NewTyped[flow, []stats](m)), `value: []maps_test.stats is of type []maps_test.stats, which no map can hold`},
		{"no slice", flowsError(maps.NewTyped[uint32, stats](typesMap(t, "cpus"))), `value: maps_test.stats is no slice, which the values of a percpu_array are: []maps_test.stats`},
		{"size without types", flowsError(maps.NewTyped[[5]byte, [10]byte](typesMap(t, "untyped"))), `map "untyped": key: [5]uint8 has 5 bytes, the map has 6`},
		{"no map", flowsError(maps.NewTyped[uint32, uint32](nil)), `no map`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if !errors.Is(tc.err, errno.EINVAL) || !strings.Contains(tc.err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", tc.err, tc.want)
			}
		})
	}
}

// TestTypedPadding: whatever the padding of a Go value holds, the map gets
// zeros, so that equal keys are the same key.
func TestTypedPadding(t *testing.T) {
	flows, err := maps.NewTyped[flow, stats](typesMap(t, "flows"))
	if err != nil {
		t.Fatal(err)
	}
	dirty := func(f flow) *flow {
		f.Port, f.Proto = 80, 6
		mem.View(&f)[11] = 0xaa // behind Proto
		return &f
	}
	k := dirty(flow{SrcAddr: 1})
	s := &stats{Packets: 3}
	mem.View(s)[3] = 0xbb // between Seen and Packets
	if err := flows.Put(*k, *s); err != nil {
		t.Fatal(err)
	}
	raw, value := make([]byte, 12), make([]byte, 32)
	if err := flows.Map().NextKey(nil, raw); err != nil || raw[11] != 0 {
		t.Errorf("the key is stored as %x, %v", raw, err)
	}
	if err := flows.Map().Lookup(raw, value); err != nil || value[3] != 0 {
		t.Errorf("the value is stored as %x, %v", value, err)
	}
	mem.View(k)[11] = 0xcc
	if v, err := flows.Lookup(*k); err != nil || v.Packets != 3 {
		t.Errorf("lookup: %+v, %v", v, err)
	}
	if n, err := flows.DeleteBatch([]flow{*k}); n != 1 || err != nil {
		t.Errorf("delete batch: %d, %v", n, err)
	}
}

// TestTypedBool: a program may have stored anything where Go reads a bool.
func TestTypedBool(t *testing.T) {
	flows, err := maps.NewTyped[flow, stats](typesMap(t, "flows"))
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 32)
	value[30] = 7
	if err := flows.Map().Update(make([]byte, 12), value, maps.Any); err != nil {
		t.Fatal(err)
	}
	check := func(how string, s stats) {
		t.Helper()
		if mem.View(&s)[30] != 1 || !s.Blocked {
			t.Errorf("%s: Blocked is stored as %d", how, mem.View(&s)[30])
		}
	}
	s, err := flows.Lookup(flow{})
	if err != nil {
		t.Fatal(err)
	}
	check("lookup", s)
	for _, s := range flows.Iterate().All() {
		check("walk", s)
	}
	list := make([]stats, 2)
	if n, err := flows.LookupBatch(new(maps.Cursor), make([]flow, 2), list); n != 1 || !errors.Is(err, maps.ErrKeyNotExist) {
		t.Errorf("batch: %d, %v", n, err)
	}
	check("batch", list[0])
	s, err = flows.LookupAndDelete(flow{})
	if err != nil {
		t.Fatal(err)
	}
	check("lookup and delete", s)
}

func TestTypedOperations(t *testing.T) {
	words, err := maps.NewTyped[int32, int64](typesMap(t, "words"))
	if err != nil {
		t.Fatal(err)
	}
	if err := words.Update(1, -1, maps.Exist); !errors.Is(err, maps.ErrKeyNotExist) {
		t.Errorf("replace: %v", err)
	}
	for k := range int32(10) {
		if err := words.Put(k, int64(k)*100); err != nil {
			t.Fatal(err)
		}
	}
	if v, err := words.Lookup(7); v != 700 || err != nil {
		t.Errorf("lookup: %d, %v", v, err)
	}
	if v, err := words.LookupAndDelete(7); v != 700 || err != nil {
		t.Errorf("lookup and delete: %d, %v", v, err)
	}
	if v, err := words.Lookup(7); v != 0 || !errors.Is(err, maps.ErrKeyNotExist) {
		t.Errorf("lookup of what is gone: %d, %v", v, err)
	}
	if err := words.Delete(7); !errors.Is(err, maps.ErrKeyNotExist) {
		t.Errorf("delete of what is gone: %v", err)
	}
	sum := int64(0)
	it := words.Iterate()
	for k, v := range it.All() {
		sum += v
		if err := words.Delete(k); err != nil {
			t.Error(err)
		}
	}
	if sum != 4500-700 || it.Err() != nil {
		t.Errorf("a walk that deletes what it sees: sum %d, %v", sum, it.Err())
	}
	for range it.All() {
		t.Error("an entry is left")
	}
	if n, err := words.UpdateBatch([]int32{1, 2, 3}, []int64{4, 5, 6}, 0); n != 3 || err != nil {
		t.Errorf("update batch: %d, %v", n, err)
	}
	keys, values := make([]int32, 4), make([]int64, 4)
	n, err := words.LookupAndDeleteBatch(new(maps.Cursor), keys, values)
	if n != 3 || !errors.Is(err, maps.ErrKeyNotExist) || values[0]+values[1]+values[2] != 15 {
		t.Errorf("lookup and delete batch: %d, %v, %v", n, values, err)
	}
	if _, err := words.UpdateBatch(keys, values[:1], 0); !errors.Is(err, errno.EINVAL) {
		t.Errorf("batch of 4 keys and 1 value: %v", err)
	}
	words.Map().Close()
	for range it.All() {
		t.Error("an entry of a closed map")
	}
	if !errors.Is(it.Err(), errno.EBADF) {
		t.Errorf("walk of a closed map: %v", it.Err())
	}
}

func TestTypedPerCPU(t *testing.T) {
	for _, name := range []string{"cpus", "cpu_flows"} {
		m := typesMap(t, name)
		var err error
		if name == "cpus" {
			err = perCPU(m, uint32(1), func(i int) stats { return stats{Packets: uint64(i)} })
		} else {
			err = perCPU(m, flow{Port: 9}, func(i int) uint16 { return uint16(i) })
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func perCPU[K, E comparable](m maps.Map, key K, value func(int) E) error {
	typed, err := maps.NewTyped[K, []E](m)
	if err != nil {
		return err
	}
	var all []E
	for cpu := range maps.NumCPU() {
		all = append(all, value(cpu+1))
	}
	check := func(how string, got []E, err error) error {
		if err != nil || !slices.Equal(got, all) {
			return fmt.Errorf("%s: %v, %v; want %v", how, got, err, all)
		}
		return nil
	}
	if err := typed.Put(key, all); err != nil {
		return err
	}
	got, err := typed.Lookup(key)
	errs := check("lookup", got, err)
	room := make([]E, 1, maps.NumCPU())
	into := room
	err = typed.LookupInto(key, &into)
	errs = errors.Join(errs, check("lookup into", into, err))
	if &into[0] != &room[0] {
		errs = errors.Join(errs, errors.New("the memory of the slice was not used"))
	}
	for k, v := range typed.Iterate().All() {
		if k == key {
			errs = errors.Join(errs, check("walk", v, nil))
		}
	}
	values := make([][]E, m.Spec().MaxEntries)
	keys := make([]K, len(values))
	n, err := typed.LookupBatch(new(maps.Cursor), keys, values)
	if i := slices.Index(keys[:n], key); i < 0 {
		errs = errors.Join(errs, fmt.Errorf("batch: %v, %v", keys, err))
	} else {
		errs = errors.Join(errs, check("batch", values[i], nil))
	}
	var zero E
	if err := typed.Put(key, all[:1]); err != nil {
		return err
	}
	for i := range all[1:] {
		all[i+1] = zero
	}
	got, err = typed.Lookup(key)
	errs = errors.Join(errs, check("after a put of one", got, err))
	if err := typed.Put(key, make([]E, maps.NumCPU()+1)); !errors.Is(err, errno.EINVAL) {
		errs = errors.Join(errs, fmt.Errorf("values for too many CPUs: %v", err))
	}
	return errs
}

func TestTypedQueue(t *testing.T) {
	queue, err := maps.NewTyped[struct{}, flow](typesMap(t, "queue"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint16(2) {
		if err := queue.Put(struct{}{}, flow{Port: i}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range uint16(2) {
		if f, err := queue.LookupAndDelete(struct{}{}); f.Port != i || err != nil {
			t.Errorf("pop: %+v, %v", f, err)
		}
	}
	it := queue.Iterate()
	for range it.All() {
		t.Error("a queue was walked")
	}
	if !errors.Is(it.Err(), errno.EINVAL) {
		t.Errorf("walk: %v", it.Err())
	}
}

// TestTypedAllocs: lookups allocate nothing.
func TestTypedAllocs(t *testing.T) {
	if poolsForget {
		t.Skip("with the race detector, sync.Pool makes allocations of its own")
	}
	flows, err := maps.NewTyped[flow, stats](typesMap(t, "flows"))
	if err != nil {
		t.Fatal(err)
	}
	if err := flows.Put(flow{Port: 1}, stats{}); err != nil {
		t.Fatal(err)
	}
	cells, err := maps.NewTyped[uint32, everything](typesMap(t, "everything"))
	if err != nil {
		t.Fatal(err)
	}
	routes, err := maps.NewTyped[[8]byte, uint32](typesMap(t, "routes"))
	if err != nil {
		t.Fatal(err)
	}
	cpus, err := maps.NewTyped[uint32, []stats](typesMap(t, "cpus"))
	if err != nil {
		t.Fatal(err)
	}
	var all []stats
	var at uint16
	for name, f := range map[string]func() error{
		"hash":  func() error { _, err := flows.Lookup(flow{Port: 1}); return err },
		"put":   func() error { at++; return flows.Put(flow{Port: at % 4}, stats{Packets: 1}) },
		"array": func() error { _, err := cells.Lookup(2); return err },
		"trie":  func() error { _, err := routes.Lookup([8]byte{}); return skipNone(err) },
		"cpus":  func() error { return cpus.LookupInto(1, &all) },
	} {
		var err error
		n := testing.AllocsPerRun(200, func() { err = errors.Join(err, f()) })
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func skipNone(err error) error {
	if errors.Is(err, maps.ErrKeyNotExist) {
		return nil
	}
	return err
}
