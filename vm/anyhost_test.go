package vm

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"

	"github.com/skepvm/skep/helpers"
	"github.com/skepvm/skep/hook/linux"
)

// anyHost returns a host that gives all there is to give, and answers anything.
func anyHost(r *rand.Rand) helpers.Host {
	h := &linux.Host{}
	answerAnything(reflect.ValueOf(h).Elem(), r)
	return helpers.Host{
		Platform: h,
		PidTgid:  r.Uint64, UidGid: r.Uint64,
		Comm: func() string { return strings.Repeat("x", r.IntN(40)) },
	}
}

// answerAnything sets every function in the struct v.
func answerAnything(v reflect.Value, r *rand.Rand) {
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Struct:
			answerAnything(f, r)
		case reflect.Func:
			f.Set(reflect.MakeFunc(f.Type(), func([]reflect.Value) []reflect.Value {
				out := make([]reflect.Value, f.Type().NumOut())
				for j := range out {
					out[j] = anything(f.Type().Out(j), r)
				}
				return out
			}))
		}
	}
}

// anything returns some value of type t, often one at a limit.
func anything(t reflect.Type, r *rand.Rand) reflect.Value {
	v := reflect.New(t).Elem()
	n := []uint64{0, 1, 5, 1 << 31, math.MaxUint32, 1 << 63, math.MaxUint64, r.Uint64()}[r.IntN(8)]
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(n)
	case reflect.Bool:
		v.SetBool(n&1 != 0)
	case reflect.String:
		v.SetString(strings.Repeat("y", r.IntN(300)))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(t, 0, 0))
		for range r.IntN(70) {
			v.Set(reflect.Append(v, anything(t.Elem(), r)))
		}
	case reflect.Array:
		for i := range t.Len() {
			v.Index(i).Set(anything(t.Elem(), r))
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if t.Field(i).IsExported() {
				v.Field(i).Set(anything(t.Field(i).Type, r))
			}
		}
	case reflect.Pointer:
		if t == reflect.TypeFor[*linux.Socket]() && r.IntN(4) > 0 {
			v.Set(reflect.ValueOf(linux.NewSocket(linux.SocketInfo{Family: linux.AFInet, Protocol: []uint32{6, 17}[r.IntN(2)], Mark: r.Uint32()})))
		}
	case reflect.Interface:
		if t == reflect.TypeFor[error]() && r.IntN(2) == 0 {
			v.Set(reflect.ValueOf(errAnything))
		}
	}
	return v
}
