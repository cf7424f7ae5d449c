package elf

import (
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	stdmaps "maps"
	"slices"

	"github.com/cilium/ebpf"
	ciliumbtf "github.com/cilium/ebpf/btf"

	"github.com/skepvm/skep/hook"
	"github.com/skepvm/skep/hook/linux"
	"github.com/skepvm/skep/maps"
	"github.com/skepvm/skep/prog"
)

// FromSpec returns the object that a CollectionSpec describes, such as bpf2go's
// loadX returns. What the caller changed in it holds: variables, map sizes,
// program types. cs itself is not changed, and shares no memory with the result.
// A function that handles exceptions (__exception_cb) is not in it, as nobody calls
// it: such programs need Open or Load.
func FromSpec(cs *ebpf.CollectionSpec, opts Options) (*prog.Object, error) {
	if cs == nil {
		return nil, &Error{PC: -1, Err: errors.New("no CollectionSpec")}
	}
	if cs.ByteOrder != nil && cs.ByteOrder != binary.LittleEndian {
		return nil, &Error{PC: -1, Err: errors.New("big-endian collection; skep runs little-endian programs only")}
	}
	if opts.Platform == nil {
		opts.Platform = linux.Platform
	}
	s := &specReader{
		obj: &prog.Object{}, opts: opts, maps: map[string]*maps.Spec{}, local: cs.Types,
		externs: map[string]ciliumbtf.Type{},
	}
	if err := s.readMaps(cs); err != nil {
		return nil, err
	}
	if err := s.readVariables(cs); err != nil {
		return nil, err
	}
	if err := s.readExterns(); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(stdmaps.Keys(cs.Programs)) {
		p := cs.Programs[name]
		if p == nil {
			return nil, &Error{Symbol: name, PC: -1, Err: errors.New("no ProgramSpec")}
		}
		if s.obj.License == "" {
			s.obj.License = p.License
		}
		s.obj.Programs = append(s.obj.Programs, s.program(name, p))
	}
	return s.obj, nil
}

func (s *specReader) program(name string, p *ebpf.ProgramSpec) *prog.Spec {
	sec, _ := s.opts.Platform.Section(p.SectionName)
	out := &prog.Spec{
		Name: name, Section: p.SectionName, Type: programType(s.opts.Platform, sec.Type, p.Type), Attach: p.AttachTo,
		Sleepable: sec.Sleepable || p.Flags&sleepable != 0,
	}
	out.Func, out.Err = s.functions(name, p.SectionName, p.Instructions)
	return out
}

const sleepable = 1 << 4 // BPF_F_SLEEPABLE

// programTypes are the kernel's names (enum bpf_prog_type) in lower case.
var programTypes = []string{
	1: "socket_filter", "kprobe", "sched_cls", "sched_act", "tracepoint", "xdp", "perf_event", "cgroup_skb",
	"cgroup_sock", "lwt_in", "lwt_out", "lwt_xmit", "sock_ops", "sk_skb", "cgroup_device", "sk_msg",
	"raw_tracepoint", "cgroup_sock_addr", "lwt_seg6local", "lirc_mode2", "sk_reuseport", "flow_dissector",
	"cgroup_sysctl", "raw_tracepoint_writable", "cgroup_sockopt", "tracing", "struct_ops", "ext", "lsm",
	"sk_lookup", "syscall", "netfilter",
}

// programType returns the type that the section names, unless the spec was
// given another.
func programType(p hook.Platform, section *hook.Type, t ebpf.ProgramType) *hook.Type {
	if int64(t) <= 0 || int64(t) >= int64(len(programTypes)) {
		return section
	}
	if section != nil && section.Name == programTypes[t] {
		return section
	}
	return p.Type(programTypes[t])
}

// readMaps converts the maps, then what they contain, which may be other maps.
func (s *specReader) readMaps(cs *ebpf.CollectionSpec) error {
	names := slices.Sorted(stdmaps.Keys(cs.Maps))
	for _, name := range names {
		m, err := s.mapSpec(name, cs.Maps[name], 0)
		if err != nil {
			return &Error{Symbol: name, PC: -1, Err: err}
		}
		s.maps[name] = m
		s.obj.Maps = append(s.obj.Maps, m)
	}
	for _, name := range names {
		for i, kv := range cs.Maps[name].Contents {
			e, err := s.entry(s.maps[name], kv)
			if err != nil {
				return &Error{Symbol: name, PC: -1, Err: fmt.Errorf("initial value %d: %w", i, err)}
			}
			s.maps[name].Contents = append(s.maps[name].Contents, e)
		}
	}
	return nil
}

func (s *specReader) mapSpec(name string, m *ebpf.MapSpec, depth int) (*maps.Spec, error) {
	switch {
	case m == nil:
		return nil, errors.New("no MapSpec")
	case depth > 1:
		return nil, errors.New("an inner map cannot hold maps")
	}
	out := &maps.Spec{
		Name: name, Type: maps.Type(m.Type), KeySize: m.KeySize, ValueSize: m.ValueSize, MaxEntries: m.MaxEntries,
		Flags: maps.Flags(m.Flags), Extra: m.MapExtra, Key: s.types.convert(m.Key), Value: s.types.convert(m.Value),
	}
	if m.Extra != nil && m.Extra.Len() > 0 {
		s.obj.Notes = append(s.obj.Notes, fmt.Sprintf(
			"map %s: the last %d bytes of its definition are not interpreted (MapSpec.Extra)", name, m.Extra.Len()))
	}
	if m.Pinning == ebpf.PinByName {
		out.Pinning = pinDir + name
	}
	if isData := m.Type == ebpf.Array && m.MaxEntries == 1 && name != "" && name[0] == '.'; isData {
		out.Frozen = out.Flags&maps.ReadOnlyProg != 0
	}
	if isMapOfMaps(out.Type) {
		if out.ValueSize == 0 {
			out.ValueSize = 4
		}
		if m.InnerMap != nil {
			inner, err := s.mapSpec(name+".inner", m.InnerMap, depth+1)
			if err != nil {
				return nil, fmt.Errorf("inner map: %w", err)
			}
			out.Inner = inner
		}
	}
	return out, nil
}

func (s *specReader) entry(m *maps.Spec, kv ebpf.MapKV) (maps.Entry, error) {
	var e maps.Entry
	var err error
	if e.Key, err = marshal(kv.Key, int(m.KeySize)); err != nil {
		return e, fmt.Errorf("key: %w", err)
	}
	if name, ok := kv.Value.(string); ok {
		switch {
		case m.Type == maps.ProgArray:
			e.Program = name
			return e, nil
		case isMapOfMaps(m.Type):
			if e.Map = s.maps[name]; e.Map == nil {
				return e, fmt.Errorf("no map %s", name)
			}
			return e, nil
		}
	}
	if m.Type == maps.ProgArray || isMapOfMaps(m.Type) {
		return e, fmt.Errorf("a value of type %T, not the name of a program or map", kv.Value)
	}
	if e.Value, err = marshal(kv.Value, int(m.ValueSize)); err != nil {
		return e, fmt.Errorf("value: %w", err)
	}
	return e, nil
}

// marshal returns v as size bytes, as cilium's maps do: bytes as they are,
// numbers and structs of fixed size in little-endian order.
func marshal(v any, size int) ([]byte, error) {
	var b []byte
	var err error
	switch v := v.(type) {
	case []byte:
		b = slices.Clone(v)
	case string:
		b = []byte(v)
	case encoding.BinaryMarshaler:
		b, err = v.MarshalBinary()
	default:
		b, err = binary.Append(nil, binary.LittleEndian, v)
	}
	if err != nil {
		return nil, err
	}
	if len(b) != size {
		return nil, fmt.Errorf("%d bytes, not %d", len(b), size)
	}
	return b, nil
}

// readVariables lists the variables and stores their values in the maps of
// their sections.
func (s *specReader) readVariables(cs *ebpf.CollectionSpec) error {
	for _, name := range slices.Sorted(stdmaps.Keys(cs.Variables)) {
		v := cs.Variables[name]
		if v == nil {
			return &Error{Symbol: name, PC: -1, Err: errors.New("no VariableSpec")}
		}
		m := s.maps[v.SectionName]
		if m == nil {
			return &Error{Section: v.SectionName, Symbol: name, PC: -1, Err: errors.New("no map of this section")}
		}
		if uint64(v.Offset)+uint64(v.Size()) > uint64(m.ValueSize) || len(m.Contents) != 1 {
			return &Error{Section: v.SectionName, Symbol: name, PC: -1, Err: fmt.Errorf(
				"bytes %d to %d of %d", v.Offset, uint64(v.Offset)+uint64(v.Size()), m.ValueSize)}
		}
		copy(m.Contents[0].Value[v.Offset:], v.Value)
		out := &prog.Variable{Name: name, Map: m, Off: v.Offset, Size: v.Size(), ReadOnly: m.Frozen}
		if v.Type != nil {
			out.Type = s.types.convert(v.Type.Type)
		}
		s.obj.Variables = append(s.obj.Variables, out)
	}
	return nil
}

// readExterns reads what BTF says of kernel symbols and configuration.
func (s *specReader) readExterns() error {
	if s.local == nil {
		return nil
	}
	var ksyms, config *ciliumbtf.Datasec
	if s.local.TypeByName(".ksyms", &ksyms) == nil {
		for _, v := range ksyms.Vars {
			s.externs[v.Type.TypeName()] = v.Type
		}
	}
	if s.local.TypeByName(".kconfig", &config) != nil {
		return nil
	}
	var vars []secVar
	s.kvars = map[uint32]string{}
	for _, v := range config.Vars {
		vars = append(vars, secVar{typ: s.types.convert(v.Type)})
		s.kvars[v.Offset] = v.Type.TypeName()
	}
	k, err := newKconfig(vars, s.opts.Kconfig, nil)
	if err != nil {
		return &Error{Section: ".kconfig", PC: -1, Err: err}
	}
	s.kconfig = k
	s.obj.Maps = append(s.obj.Maps, k.spec)
	return nil
}
