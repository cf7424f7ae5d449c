package vm

import (
	"context"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/internal/isa"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
	"github.com/skepvm/skep/verifier"
)

// TestWatchConstructs holds runs of locks, iterators, dynptrs, callbacks and
// exceptions against their proofs.
func TestWatchConstructs(t *testing.T) {
	lock := &btf.Type{Kind: btf.Struct, Name: "bpf_spin_lock", Size: 4}
	specs := []*maps.Spec{
		{Name: "array", Type: maps.Array, KeySize: 4, ValueSize: 256, MaxEntries: 1},
		{Name: "locked", Type: maps.Array, KeySize: 4, ValueSize: 64, MaxEntries: 1,
			Value: &btf.Type{Kind: btf.Struct, Name: "value", Size: 64, Members: []btf.Member{{Name: "lock", Type: lock}}}},
		{Name: "ring", Type: maps.RingBuf, MaxEntries: 4096},
		{Name: "user", Type: maps.UserRingBuf, MaxEntries: 4096},
	}
	const exit = "\nout:\nr0 = 0\nexit"
	for name, text := range map[string]string{
		"iterators in each other": `
			r9 = map[0][0]+0
			r1 = r10
			r1 += -8
			r2 = 0
			r3 = 7
			call bpf_iter_num_new
		outer:
			r1 = r10
			r1 += -8
			call bpf_iter_num_next
			if r0 == 0 goto done
			r3 = *(u32 *)(r0 +0)
			r7 = r3
			r1 = r10
			r1 += -16
			r2 = 0
			call bpf_iter_num_new
			r6 = r0
		inner:
			r1 = r10
			r1 += -16
			call bpf_iter_num_next
			if r0 == 0 goto last
			r1 = *(u32 *)(r0 +0)
			if r1 > 63 goto inner
			r2 = r9
			r2 += r1
			r3 = *(u8 *)(r2 +0)
			r3 += 1
			*(u8 *)(r2 +0) = r3
			goto inner
		last:
			r1 = r10
			r1 += -16
			call bpf_iter_num_destroy
			goto outer
		done:
			r1 = r10
			r1 += -8
			call bpf_iter_num_destroy` + exit,
		"bits": `
			r9 = map[0][0]+0
			r1 = r10
			r1 += -16
			r2 = r9
			r3 = 4
			call bpf_iter_bits_new
			r6 = r0
		again:
			r1 = r10
			r1 += -16
			call bpf_iter_bits_next
			if r0 == 0 goto done
			r1 = *(u32 *)(r0 +0)
			if r1 > 255 goto again
			r2 = r9
			r2 += r1
			*(u8 *)(r2 +0) = r1
			goto again
		done:
			r1 = r10
			r1 += -16
			call bpf_iter_bits_destroy` + exit,
		"packet dynptr": `
			r6 = r1
			r2 = 0
			r3 = r10
			r3 += -16
			call bpf_dynptr_from_xdp
			r1 = r10
			r1 += -16
			call bpf_dynptr_size
			r7 = r0
			r1 = r10
			r1 += -16
			r2 = 14
			r3 = 0
			r4 = 20
			call bpf_dynptr_slice_rdwr
			if r0 == 0 goto out
			r1 = *(u8 *)(r0 +19)
			r1 += 1
			*(u8 *)(r0 +19) = r1
			r8 = r0
			r1 = r6
			r2 = 4
			call 44
			r1 = r10
			r1 += -24
			r2 = 8
			r3 = r10
			r3 += -16
			r4 = r7
			r4 &= 63
			r5 = 0
			call 201
			r0 = *(u64 *)(r10 -24)` + exit,
		"reservation and its clone": `
			r1 = map[2]
			r2 = 32
			r3 = 0
			r4 = r10
			r4 += -16
			call 198
			r1 = r10
			r1 += -16
			r2 = r10
			r2 += -32
			call bpf_dynptr_clone
			r1 = r10
			r1 += -32
			r2 = 8
			r3 = 16
			call 203
			if r0 == 0 goto done
			*(u64 *)(r0 +8) = 7
			r6 = *(u64 *)(r0 +8)
		done:
			r1 = r10
			r1 += -32
			r2 = 0
			call 200` + exit,
		"lock": `
			r6 = map[1][0]+0
			r1 = r6
			call 93
			r7 = *(u32 *)(r6 +8)
			r7 &= 31
			r1 = r6
			r1 += r7
			r2 = *(u8 *)(r1 +16)
			r2 += 1
			*(u8 *)(r1 +16) = r2
			r1 = r6
			call 94` + exit,
		"records": `
			*(u64 *)(r10 -8) = 0
			r1 = map[3]
			r2 = subprog[body]
			r3 = r10
			r3 += -8
			r4 = 0
			call 209
			r6 = *(u64 *)(r10 -8)
			r0 = 0
			exit
		body:
			r6 = r2
			r2 = 0
			r3 = 8
			call 203
			if r0 == 0 goto end
			r1 = *(u64 *)(r0 +0)
			r2 = *(u64 *)(r6 +0)
			r2 += r1
			*(u64 *)(r6 +0) = r2
		end:
			r0 = 0
			exit`,
	} {
		t.Run(name, func(t *testing.T) {
			p := linkConstruct(t, text, specs)
			proof, _, err := verifier.Verify(context.Background(), p, verifier.Options{Invariants: true})
			if err != nil {
				t.Fatal(err)
			}
			c, err := LoadProgram(p, Options{Engine: Checked, AllowUninitStack: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			user, err := maps.NewUserRingBufProducer(c.Map("user"))
			if err != nil {
				t.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 2))
			for range 100 {
				if b, err := user.Reserve(r.IntN(24)); err == nil {
					for i := range b {
						b[i] = byte(r.Uint32())
					}
					if err := user.Submit(b); err != nil {
						t.Fatal(err)
					}
				}
				packet := make([]byte, r.IntN(80))
				for i := range packet {
					packet[i] = byte(r.Uint32())
				}
				w := newWatcher(r, &watched{v: proof, p: c.Program("p")})
				if err := w.run(packet); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// linkConstruct assembles an xdp program that calls kfuncs by name.
func linkConstruct(t *testing.T, text string, specs []*maps.Spec) *prog.Program {
	t.Helper()
	const first = 1_000_000
	var names []string
	text = regexp.MustCompile(`call (bpf_\w+)`).ReplaceAllStringFunc(text, func(s string) string {
		names = append(names, strings.TrimPrefix(s, "call "))
		return "call " + strconv.Itoa(first+len(names)-1)
	})
	insns, err := prog.Assemble(text)
	if err != nil {
		t.Fatal(err)
	}
	p, err := prog.FromInsns("p", linux.Platform.Type("xdp"), insns, specs)
	if err != nil {
		t.Fatal(err)
	}
	for pc, in := range p.Insns {
		if in.IsCall(isa.CallHelper) && in.Imm >= first {
			p.Insns[pc].Src, p.Insns[pc].Imm = isa.CallKfunc, in.Imm-first
		}
	}
	for _, n := range names {
		p.Externs = append(p.Externs, prog.Extern{Name: n})
	}
	return p
}
