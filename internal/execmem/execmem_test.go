//go:build (linux || darwin || windows) && (amd64 || arm64)

package execmem

import (
	"bytes"
	"errors"
	"math/rand"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestBatch(t *testing.T) {
	var batch Batch
	var want [][]byte
	var offs []int
	rng := rand.New(rand.NewSource(1))
	for i := range 50 {
		code := bytes.Repeat([]byte{byte(i + 1)}, 1+rng.Intn(300))
		off := batch.Add(code)
		clear(code) // Add copied it
		code = bytes.Repeat([]byte{byte(i + 1)}, len(code))
		if off%Align != 0 {
			t.Fatalf("offset %d", off)
		}
		want, offs = append(want, code), append(offs, off)
	}
	before := Mapped()
	b, err := batch.Seal()
	if err != nil {
		t.Fatal(err)
	}
	if b.Addr()%uintptr(os.Getpagesize()) != 0 || b.Size()%os.Getpagesize() != 0 || b.Size() < batch.Len() {
		t.Fatalf("%d bytes at %#x", b.Size(), b.Addr())
	}
	if got := Mapped() - before; got != int64(b.Size()) {
		t.Errorf("accounted %d bytes, mapped %d", got, b.Size())
	}
	for i, off := range offs {
		if !bytes.Equal(b.Code(off, len(want[i])), want[i]) {
			t.Errorf("code %d differs", i)
		}
	}
	batch.Reset()
	batch.Add(make([]byte, 1000))
	if !bytes.Equal(b.Code(0, len(want[0])), want[0]) {
		t.Error("the block shares memory with its batch")
	}
	for range 2 {
		if err := b.Free(); err != nil {
			t.Fatal(err)
		}
		if Mapped() != before || b.Size() != 0 {
			t.Errorf("after Free: %d bytes accounted, block has %d", Mapped()-before, b.Size())
		}
	}
}

func TestSealRefusesSizes(t *testing.T) {
	var batch Batch
	if _, err := batch.Seal(); err == nil {
		t.Error("an empty batch was sealed")
	}
	batch.code = make([]byte, maxSize+1)
	if _, err := batch.Seal(); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Errorf("too large a batch: %v", err)
	}
}

// TestRefusals checks that each refusal of the host is reported as such, and
// that nothing stays mapped or accounted.
func TestRefusals(t *testing.T) {
	saved := host
	defer func() { host = saved }()
	live := 0
	count := func() {
		host = saved
		host.mapRW = func(n int) ([]byte, error) { live++; return saved.mapRW(n) }
		host.unmap = func(p []byte) error { live--; return saved.unmap(p) }
	}
	for _, tc := range []struct {
		op     string
		refuse func()
	}{
		{"map", func() { host.mapRW = func(int) ([]byte, error) { return nil, syscall.ENOMEM } }},
		{"seal", func() { host.makeRX = func([]byte) error { return syscall.EACCES } }},
		{"synchronise", func() { host.sync = func([]byte) error { return syscall.EPERM } }},
	} {
		t.Run(tc.op, func(t *testing.T) {
			count()
			tc.refuse()
			before := Mapped()
			var batch Batch
			batch.Add([]byte{1})
			b, err := batch.Seal()
			var refused *Error
			if !errors.As(err, &refused) || refused.Op != tc.op || b != nil {
				t.Fatalf("got %v, %v", b, err)
			}
			if live != 0 || Mapped() != before {
				t.Errorf("%d mappings left, %d bytes accounted", live, Mapped()-before)
			}
		})
	}
	t.Run("free", func(t *testing.T) {
		count()
		var batch Batch
		batch.Add([]byte{1})
		b, err := batch.Seal()
		if err != nil {
			t.Fatal(err)
		}
		good := host.unmap
		host.unmap = func([]byte) error { return syscall.EINVAL }
		before := Mapped()
		if err := b.Free(); err == nil || Mapped() != before {
			t.Errorf("refused Free: %v", err)
		}
		host.unmap = good
		if err := b.Free(); err != nil {
			t.Error(err)
		}
	})
	t.Run("prepare", func(t *testing.T) {
		count()
		host.prepare = func() error { return ErrUnsupported }
		var batch Batch
		batch.Add([]byte{1})
		if _, err := batch.Seal(); !errors.Is(err, ErrUnsupported) {
			t.Error(err)
		}
	})
}

func TestConcurrent(t *testing.T) {
	before := Mapped()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			var batch Batch
			for i := range 500 {
				batch.Reset()
				batch.Add(bytes.Repeat([]byte{byte(i)}, 1+i*10))
				b, err := batch.Seal()
				if err != nil {
					t.Error(err)
					return
				}
				if c := b.Code(0, 1); c[0] != byte(i) {
					t.Errorf("byte %#x, want %#x", c[0], byte(i))
				}
				if err := b.Free(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if Mapped() != before {
		t.Errorf("%d bytes leaked", Mapped()-before)
	}
}

func TestAvailable(t *testing.T) {
	if err := Available(); err != nil {
		t.Fatalf("on %s/%s: %v", runtime.GOOS, runtime.GOARCH, err)
	}
}

func BenchmarkSealFree(b *testing.B) {
	var batch Batch
	batch.Add(make([]byte, 1000))
	for b.Loop() {
		block, err := batch.Seal()
		if err != nil {
			b.Fatal(err)
		}
		if err := block.Free(); err != nil {
			b.Fatal(err)
		}
	}
}
