package helpers

import (
	"encoding/json"
	"fmt"
)

// Names of kinds, in order, for messages and for JSON.
var (
	argKinds = [...]string{
		"none", "anything", "map_ptr", "map_key", "map_value", "mem", "size", "size_or_zero", "const_alloc_size", "ctx",
		"stack", "func", "const_str", "spin_lock", "timer", "kptr", "ringbuf_mem", "dynptr", "iter", "object",
	}
	retKinds = [...]string{"integer", "void", "map_value", "mem", "object"}
	controls = [...]string{"plain", "tail_call", "callback", "throw"}
)

func (k ArgKind) String() string { return kindName(argKinds[:], uint8(k)) }
func (k RetKind) String() string { return kindName(retKinds[:], uint8(k)) }
func (c Control) String() string { return kindName(controls[:], uint8(c)) }

// MarshalText implements encoding.TextMarshaler.
func (k ArgKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalText implements encoding.TextMarshaler.
func (k RetKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalText implements encoding.TextMarshaler.
func (c Control) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *ArgKind) UnmarshalText(b []byte) error { return parseKind((*uint8)(k), argKinds[:], b) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *RetKind) UnmarshalText(b []byte) error { return parseKind((*uint8)(k), retKinds[:], b) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Control) UnmarshalText(b []byte) error { return parseKind((*uint8)(c), controls[:], b) }

func kindName(names []string, k uint8) string {
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("unknown(%d)", k)
}

func parseKind(k *uint8, names []string, b []byte) error {
	for i, n := range names {
		if n == string(b) {
			*k = uint8(i)
			return nil
		}
	}
	return fmt.Errorf("unknown kind %q", b)
}

// The JSON form of a Proto leaves out what is not set. A struct may be
// converted to another that differs in tags alone.
type (
	jsonProto struct {
		Args           []jsonArg `json:"args,omitempty"`
		Ret            jsonRet   `json:"ret"`
		GPL            bool      `json:"gpl,omitempty"`
		MightSleep     bool      `json:"might_sleep,omitempty"`
		PacketAccess   bool      `json:"packet_access,omitempty"`
		ChangesPacket  bool      `json:"changes_packet,omitempty"`
		AnyMemory      bool      `json:"any_memory,omitempty"`
		Control        Control   `json:"control,omitempty"`
		AcquiresObject bool      `json:"acquires_object,omitempty"`
		Body           []jsonArg `json:"body,omitempty"`
	}
	jsonArg struct {
		Kind     ArgKind `json:"kind"`
		Nullable bool    `json:"nullable,omitempty"`
		Write    bool    `json:"write,omitempty"`
		Uninit   bool    `json:"uninit,omitempty"`
		Partial  bool    `json:"partial,omitempty"`
		Release  bool    `json:"release,omitempty"`
		Aligned  bool    `json:"aligned,omitempty"`
		Size     uint32  `json:"size,omitempty"`
		Object   string  `json:"object,omitempty"`
	}
	jsonRet struct {
		Kind     RetKind `json:"kind"`
		Nullable bool    `json:"nullable,omitempty"`
		Min      int64   `json:"min,omitempty"`
		Max      int64   `json:"max,omitempty"`
		AtMost   int     `json:"at_most,omitempty"`
		Size     uint32  `json:"size,omitempty"`
		RingBuf  bool    `json:"ringbuf,omitempty"`
		Object   string  `json:"object,omitempty"`
		ReadOnly bool    `json:"read_only,omitempty"`
	}
)

// MarshalJSON implements json.Marshaler.
func (p Proto) MarshalJSON() ([]byte, error) {
	return json.Marshal(jsonProto{jsonArgs(&p.Args), jsonRet(p.Ret), p.GPL, p.MightSleep, p.PacketAccess,
		p.ChangesPacket, p.AnyMemory, p.Control, p.AcquiresObject, jsonArgs(&p.Body)})
}

func jsonArgs(args *[5]Arg) (j []jsonArg) {
	for _, a := range args {
		if a.Kind == ArgNone {
			break
		}
		j = append(j, jsonArg(a))
	}
	return j
}

// UnmarshalJSON implements json.Unmarshaler. It does not check p.
func (p *Proto) UnmarshalJSON(b []byte) error {
	var j jsonProto
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*p = Proto{Ret: Ret(j.Ret), GPL: j.GPL, MightSleep: j.MightSleep, PacketAccess: j.PacketAccess,
		ChangesPacket: j.ChangesPacket, AnyMemory: j.AnyMemory, Control: j.Control, AcquiresObject: j.AcquiresObject}
	if err := setArgs(&p.Args, j.Args); err != nil {
		return err
	}
	return setArgs(&p.Body, j.Body)
}

func setArgs(args *[5]Arg, j []jsonArg) error {
	if len(j) > len(args) {
		return fmt.Errorf("%d arguments; %d is the most", len(j), len(args))
	}
	for i, a := range j {
		args[i] = Arg(a)
	}
	return nil
}
