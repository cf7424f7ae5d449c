package vm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"path"
	"time"

	"github.com/skepvm/skep/elf"
	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
	"github.com/skepvm/skep/vm"
)

// An object that clang built, and one packet.
func Example() {
	obj, err := elf.Open("../examples/xdp-firewall/filter.o")
	if err != nil {
		log.Fatal(err)
	}
	coll, err := vm.Load(obj, vm.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer coll.Close()

	firewall := coll.Program("firewall")
	verdict, err := firewall.Run([]byte{1, 2, 3}) // too short for Ethernet
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(firewall.Type().Verdict(verdict))
	// Output: XDP_DROP
}

// A Request is what programs see of a request: the context of a hook point of
// the host's own.
type Request struct {
	Path   hook.Bytes // data and data_end in C
	Method uint32
	Status uint32 `bpf:"rw"`
}

var onRequest = hook.MustDefine[Request]("request", hook.Returns(0, 1), hook.Helpers(helpers.Base()))

// program makes a program of the text in place of an object of clang's. The
// offsets of the context are those of the header that WriteHeader writes.
func program(text string, opts vm.Options, specs ...*maps.Spec) *vm.Collection {
	insns, err := prog.Assemble(text)
	if err != nil {
		log.Fatal(err)
	}
	linked, err := prog.FromInsns("example", onRequest.Type, insns, specs)
	if err != nil {
		log.Fatal(err)
	}
	coll, err := vm.LoadProgram(linked, opts)
	if err != nil {
		log.Fatal(err)
	}
	return coll
}

// A hook point with a context made of a Go struct, and a program that is
// replaced while the host serves.
func ExampleHookOf() {
	point := vm.NewHookOf(onRequest, vm.HookOptions{})
	allow := program("r0 = 0\nexit", vm.Options{})
	link, err := point.Attach(allow.Program("example"), vm.AttachOptions{})
	if err != nil {
		log.Fatal(err)
	}
	r := Request{Path: []byte("/admin"), Method: 2}
	fmt.Println(point.Run(&r))

	deny := program(`
		*(u32 *)(r1 +20) = 403
		r0 = 1
		exit`, vm.Options{})
	defer deny.Close()
	if err := link.Update(deny.Program("example")); err != nil { // for the next request
		log.Fatal(err)
	}
	allow.Close() // runs under way still end in it
	verdict, err := point.Run(&r)
	fmt.Println(verdict, err, r.Status)

	link.Close()
	fmt.Println(point.Run(&r)) // HookOptions.Default
	// Output:
	// 0 <nil>
	// 1 <nil> 403
	// 0 <nil>
}

// squares is a map of the host's own: the value of a key is its square. What
// programs get must stay as it is while they run, so values are made once.
type squares struct {
	maps.Base
	values [100][]byte
}

func newSquares() *squares {
	m := &squares{Base: maps.Base{Description: maps.Spec{
		Name: "squares", Type: maps.Hash, KeySize: 4, ValueSize: 8, MaxEntries: 100,
	}}}
	for i := range m.values {
		m.values[i] = binary.NativeEndian.AppendUint64(nil, uint64(i*i))
	}
	return m
}

func (m *squares) LookupElem(_ int, key []byte) []byte {
	if i := binary.NativeEndian.Uint32(key); int(i) < len(m.values) {
		return m.values[i]
	}
	return nil
}

// A helper and a map of the host's own.
func ExampleOptions() {
	// Calls of helper 1000 are checked against the parameters of the function
	// when the program is loaded.
	weight := helpers.New1("weight", func(_ helpers.Env, method uint32) uint32 { return method * 10 })
	table := newSquares()
	coll := program(`
		r1 = *(u32 *)(r1 +16)             ; method
		call 1000
		*(u32 *)(r10 -4) = r0
		r1 = map[0]
		r2 = r10
		r2 += -4
		call 1                            ; map_lookup_elem
		if r0 == 0 goto out
		r1 = *(u64 *)(r0 +0)
		r0 = 0
		if r1 < 400 goto out
		r0 = 1
	out:
		exit`, vm.Options{
		Helpers: map[helpers.ID]*helpers.Func{1000: weight},
		Maps:    map[string]maps.Map{"squares": table},
	}, table.Spec())
	defer coll.Close()

	p := coll.Program("example")
	for method := range uint32(4) {
		verdict, err := vm.RunTyped(context.Background(), p, onRequest, &Request{Method: method})
		fmt.Println(verdict, err)
	}
	// Output:
	// 0 <nil>
	// 0 <nil>
	// 1 <nil>
	// 1 <nil>
}

// A run ends when it has executed so many instructions, or when the host has had
// enough of it.
func ExampleProgram_RunContext() {
	const forever = "r0 = 0\nif r0 == 0 goto -1\nexit"
	coll := program(forever, vm.Options{Engine: vm.Checked, MaxInsns: 1_000_000})
	defer coll.Close()
	_, err := coll.Program("example").Run(nil)
	fmt.Println(errors.Is(err, vm.ErrMaxInsns), err)

	endless := program(forever, vm.Options{Engine: vm.Checked, MaxInsns: -1})
	defer endless.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err = endless.Program("example").RunContext(ctx, nil)
	fmt.Println(err)

	stats := endless.Program("example").Stats()
	fmt.Println(stats.Runs, stats.Errors, stats.Insns > 0)
	// Output:
	// true example+1: if r0 == 0x0 goto pc-1: instruction limit reached: 1000000
	// context deadline exceeded
	// 1 1 true
}

// What the verifier refuses does not load, and the error says why.
func ExampleLoad_refused() {
	obj, err := elf.Open("../testdata/verifier/explain/packet.o")
	if err != nil {
		log.Fatal(err)
	}
	_, err = vm.Load(obj, vm.Options{})
	var refused *verifier.Error
	if errors.As(err, &refused) {
		fmt.Printf("%s:%d: %s\n", path.Base(refused.Line.File), refused.Line.Num, refused.Msg)
		fmt.Println(refused.Code)
	}
	// Output:
	// packet.c:29: pkt access at offset 23, size 1; 14 bytes are proven
	// out-of-bounds
}
