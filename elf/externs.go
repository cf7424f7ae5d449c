package elf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	stdmaps "maps"
	"strconv"
	"strings"

	"github.com/skepvm/skep/btf"
	"github.com/skepvm/skep/maps"
)

// A kconfig is the map that holds an object's .kconfig variables. They exist
// in BTF only, so their layout is ours.
type kconfig struct {
	spec *maps.Spec
	vars map[string]kconfigVar
}

type kconfigVar struct {
	off uint32
	err error // why it has no value
}

// readKconfig lays out the .kconfig variables and gives them their values.
func (l *loader) readKconfig() error {
	if l.types == nil || len(l.types.sections[".kconfig"]) == 0 {
		return nil
	}
	weak := map[string]bool{}
	for i := range l.symbols {
		if s := &l.symbols[i]; s.section == 0 && s.weak() {
			weak[s.name] = true
		}
	}
	k, err := newKconfig(l.types.sections[".kconfig"], l.opts.Kconfig, weak)
	if err != nil {
		return l.errorf(".kconfig", "", "%w", err)
	}
	l.kconfig = k
	l.obj.Maps = append(l.obj.Maps, k.spec)
	return nil
}

func newKconfig(vars []secVar, config map[string]string, weak map[string]bool) (*kconfig, error) {
	k := &kconfig{vars: map[string]kconfigVar{}}
	sec := &btf.Type{Kind: btf.Datasec, Name: ".kconfig"}
	var value []byte
	for _, v := range vars {
		if v.typ.Kind != btf.Var {
			return nil, fmt.Errorf("%s is not a variable", v.typ.Name)
		}
		size := v.typ.Size
		if size == 0 || size > maxKconfig {
			return nil, fmt.Errorf("%s has %d bytes", v.typ.Name, size)
		}
		align := min(size&-size, 8)
		off := (uint32(len(value)) + align - 1) &^ (align - 1)
		if off+size > maxKconfig {
			return nil, fmt.Errorf("variables of more than %d bytes", maxKconfig)
		}
		value = append(value, make([]byte, off+size-uint32(len(value)))...)
		kv := kconfigVar{off: off}
		text, ok := config[v.typ.Name]
		if !ok {
			text, ok = kconfigDefaults[v.typ.Name]
		}
		switch {
		case ok:
			if err := setKconfig(value[off:off+size], v.typ.Elem, text); err != nil {
				kv.err = fmt.Errorf("kconfig %s = %s: %w", v.typ.Name, text, err)
			}
		case !weak[v.typ.Name]:
			kv.err = fmt.Errorf("kconfig %s has no value: give one (Options.Kconfig), or declare it __weak", v.typ.Name)
		}
		k.vars[v.typ.Name] = kv
		sec.Members = append(sec.Members, btf.Member{Name: v.typ.Name, Type: v.typ, Offset: off * 8})
	}
	sec.Size = uint32(len(value))
	k.spec = dataMap(".kconfig", value)
	k.spec.Value = sec
	return k, nil
}

// kconfigDefaults are what a program may ask of the kernel that skep is in the
// place of: the release whose helpers it has, with cookies of attachments, and
// the ticks of its own clock.
var kconfigDefaults = map[string]string{
	"LINUX_KERNEL_VERSION":      strconv.Itoa(6<<16 | 18<<8),
	"LINUX_HAS_BPF_COOKIE":      "1",
	"LINUX_HAS_SYSCALL_WRAPPER": "1",
	"CONFIG_64BIT":              "y",
	"CONFIG_BPF":                "y",
	"CONFIG_BPF_SYSCALL":        "y",
	"CONFIG_HZ":                 "250",
}

// KconfigDefaults returns the variables that have a value though
// Options.Kconfig gives none, in its form: LINUX_KERNEL_VERSION is 6.18.0,
// LINUX_HAS_BPF_COOKIE and LINUX_HAS_SYSCALL_WRAPPER are 1, CONFIG_64BIT,
// CONFIG_BPF and CONFIG_BPF_SYSCALL y, and CONFIG_HZ is 250, the ticks of jiffies64 in a
// second. The map is the caller's.
func KconfigDefaults() map[string]string { return stdmaps.Clone(kconfigDefaults) }

const maxKconfig = 64 << 10 // bytes of all .kconfig variables

// setKconfig stores the value that text means for a variable of type t
// (libbpf's rules: enum libbpf_tristate or bool or char for y, m and n;
// integers, with range; char arrays).
func setKconfig(dst []byte, t *btf.Type, text string) error {
	t = t.Underlying()
	if t == nil {
		return errors.New("variable without a type")
	}
	if s, err := strconv.Unquote(text); err == nil && strings.HasPrefix(text, `"`) {
		if t.Kind != btf.Array || t.Elem.Underlying().Kind != btf.Int || t.Elem.Underlying().Size != 1 {
			return errors.New("a string for a variable that is no char array")
		}
		if len(s) >= len(dst) {
			s = s[:len(dst)-1] // the kernel's own strings are cut too
		}
		clear(dst)
		copy(dst, s)
		return nil
	}
	switch text {
	case "y", "m", "n":
		v := map[string]uint64{"n": 0, "y": 1, "m": 2}[text]
		switch {
		case t.Kind == btf.Enum && t.Name == "libbpf_tristate":
			return putUint(dst, v)
		case t.Kind == btf.Int && t.Bool && text != "m":
			return putUint(dst, v)
		case t.Kind == btf.Int && t.Size == 1 && !t.Bool:
			return putUint(dst, uint64(text[0]))
		}
		return errors.New("needs a variable of type bool, char or enum libbpf_tristate")
	}
	switch {
	case t.Kind != btf.Int:
		return errors.New("a number for a variable that is no integer")
	case t.Bool && text != "0" && text != "1":
		return errors.New("a bool is y, n, 0 or 1")
	}
	bits := int(t.Size) * 8
	if u, err := strconv.ParseUint(text, 0, 64); err == nil {
		if bits < 64 && (u>>bits != 0 || t.Signed && u>>(bits-1) != 0) {
			return fmt.Errorf("out of range for %d bytes", t.Size)
		}
		if t.Signed && u>>63 != 0 {
			return fmt.Errorf("out of range for %d signed bytes", t.Size)
		}
		return putUint(dst, u)
	}
	i, err := strconv.ParseInt(text, 0, 64)
	if err != nil {
		return errors.New("neither y, m, n, a number nor a quoted string")
	}
	if !t.Signed || bits < 64 && (i < -1<<(bits-1)) {
		return fmt.Errorf("out of range for %d bytes", t.Size)
	}
	return putUint(dst, uint64(i))
}

// putUint stores v in the 1, 2, 4 or 8 bytes of dst.
func putUint(dst []byte, v uint64) error {
	switch len(dst) {
	case 1:
		dst[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(dst, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(dst, uint32(v))
	case 8:
		binary.LittleEndian.PutUint64(dst, v)
	default:
		return fmt.Errorf("an integer of %d bytes", len(dst))
	}
	return nil
}

// ReadKconfig reads a kernel's .config (or its decompressed /proc/config.gz)
// into the form of Options.Kconfig.
func ReadKconfig(r io.Reader) (map[string]string, error) {
	config := map[string]string{}
	sc := bufio.NewScanner(r)
	n := 1
	for ; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || name == "" || value == "" {
			return nil, fmt.Errorf("kconfig line %d: not NAME=value: %q", n, line)
		}
		config[name] = value
	}
	if err := sc.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fmt.Errorf("kconfig line %d: longer than %d bytes", n, bufio.MaxScanTokenSize)
		}
		return nil, fmt.Errorf("kconfig line %d: %w", n, err)
	}
	return config, nil
}
