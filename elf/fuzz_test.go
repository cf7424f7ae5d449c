package elf_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	ciliumbtf "github.com/cilium/ebpf/btf"

	"github.com/skepvm/skep/elf"
)

// FuzzLoad reads any bytes as an object and uses what comes of it: every
// program is linked and every value printed. There is an object or an *Error,
// never both, and no panic.
func FuzzLoad(f *testing.F) {
	objects, err := filepath.Glob(dir + "*.o")
	if err != nil || len(objects) == 0 {
		f.Fatalf("no objects: %v", err)
	}
	for _, object := range objects {
		data, err := os.ReadFile(object)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	target, err := ciliumbtf.LoadSpec(dir + "core_target.o")
	if err != nil {
		f.Fatal(err)
	}
	opts := elf.Options{BTF: target, Kconfig: kconfig, Ksyms: ksyms}
	f.Fuzz(func(t *testing.T, data []byte) {
		obj, err := elf.Load(bytes.NewReader(data), "fuzz.o", opts)
		if err != nil {
			var e *elf.Error
			if obj != nil || !errors.As(err, &e) || e.File != "fuzz.o" || e.Err == nil {
				t.Fatalf("object %v with error %#v", obj, err)
			}
			return
		}
		for _, p := range obj.Programs {
			if _, err := obj.Link(p); err != nil && err.Error() == "" {
				t.Fatalf("%s: an error without words", p.Name)
			}
		}
		for _, m := range obj.Maps {
			for _, e := range m.Contents {
				m.Value.AppendJSON(nil, e.Value[:min(len(e.Value), 1<<16)])
			}
		}
		for _, v := range obj.Variables {
			v.Type.AppendC(nil, v.Map.Contents[0].Value[v.Off:v.Off+v.Size])
		}
	})
}
