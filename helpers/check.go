package helpers

import (
	"errors"
	"fmt"
)

// Check reports why p contradicts itself: a contract that no call could meet,
// or that would let a call reach memory it does not describe. Every rule here
// is one that the verifier and the engines rely on without testing it again.
func (p *Proto) Check() error {
	n := p.NumArgs()
	for i := n; i < len(p.Args); i++ {
		if p.Args[i] != (Arg{}) {
			return fmt.Errorf("argument %d follows the end of the list at %d", i+1, n+1)
		}
	}
	var outputs, releases, funcs, allocs int
	for i := range p.Args[:n] {
		a := &p.Args[i]
		if err := p.checkArg(i); err != nil {
			return fmt.Errorf("argument %d: %w", i+1, err)
		}
		if a.Uninit && a.Kind == ArgMem {
			outputs++
		}
		if a.Release {
			releases++
		}
		switch a.Kind {
		case ArgFunc:
			funcs++
		case ArgConstAllocSize:
			allocs++
		}
	}
	switch {
	case outputs > 1:
		return errors.New("two memory arguments may be uninitialised; one is the most that a call can describe")
	case releases > 1:
		return errors.New("two arguments end a reference")
	case allocs > 1:
		return errors.New("two arguments give the size of the result")
	case p.Control == Callback && funcs != 1:
		return fmt.Errorf("a helper that calls back needs one function argument, not %d", funcs)
	case p.Control == TailCall && (n != 3 || p.Args[0].Kind != ArgCtx || p.Args[1].Kind != ArgMapPtr || p.Args[2].Kind != ArgAnything):
		return errors.New("a tail call takes the context, a map and an index")
	case p.Control > Throw:
		return fmt.Errorf("unknown control %d", p.Control)
	}
	if err := p.checkRet(allocs == 1); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	if err := p.checkBody(funcs > 0); err != nil {
		return fmt.Errorf("callback: %w", err)
	}
	return nil
}

// checkBody checks what a callback gets.
func (p *Proto) checkBody(called bool) error {
	end := false
	for i, a := range p.Body {
		switch {
		case a.Kind == ArgNone && a == Arg{}:
			end = true
			continue
		case end || a.Kind == ArgNone:
			return fmt.Errorf("argument %d follows the end of the list", i+1)
		case !called:
			return errors.New("it has arguments, yet the helper takes no function")
		}
		switch a.Kind {
		case ArgAnything, ArgStack:
		case ArgMapPtr, ArgMapKey, ArgMapValue:
			if !p.hasMapBefore(len(p.Args)) {
				return fmt.Errorf("argument %d: no argument of the helper is a map", i+1)
			}
		case ArgObject, ArgDynptr:
			if a.Object == "" {
				return fmt.Errorf("argument %d: an object of no type: give Object", i+1)
			}
		default:
			return fmt.Errorf("argument %d: a callback cannot get a %v", i+1, a.Kind)
		}
	}
	return nil
}

func (p *Proto) checkArg(i int) error {
	a := &p.Args[i]
	switch a.Kind {
	case ArgAnything, ArgMapPtr, ArgConstAllocSize, ArgCtx, ArgStack, ArgFunc, ArgConstStr,
		ArgSpinLock, ArgTimer, ArgKptr, ArgRingBufMem:
	case ArgMapKey, ArgMapValue:
		if !p.hasMapBefore(i) {
			return errors.New("no map before it says how big it is")
		}
	case ArgMem:
		if a.Size == 0 && p.SizeArg(i) < 0 {
			return errors.New("memory of no size: give Size, or a size argument after it")
		}
		if a.Size >= MaxMem {
			return fmt.Errorf("memory of %d bytes; %d is the most", a.Size, MaxMem-1)
		}
	case ArgSize, ArgSizeOrZero:
		if !p.givesSize(i) {
			return errors.New("a size without memory before it")
		}
	case ArgDynptr, ArgIter, ArgObject:
		if a.Object == "" {
			return errors.New("an object of no type: give Object")
		}
	default:
		return fmt.Errorf("unknown kind %d", a.Kind)
	}
	memory := a.Kind == ArgMem || a.Kind == ArgMapKey || a.Kind == ArgMapValue
	switch {
	case a.Uninit && !memory && a.Kind != ArgDynptr && a.Kind != ArgIter:
		return errors.New("Uninit is for memory")
	case a.Write && !memory && a.Kind != ArgDynptr && a.Kind != ArgIter:
		return errors.New("Write is for memory")
	case a.Uninit && !a.Write:
		return errors.New("Uninit says that the helper writes every byte, yet Write is not set")
	case a.Partial && (!a.Uninit || a.Kind != ArgMem):
		return errors.New("Partial is for memory that is Uninit")
	case a.Size != 0 && a.Kind != ArgMem:
		return errors.New("Size is for memory")
	case a.Aligned && (a.Kind != ArgMem || a.Size == 0 || a.Size&(a.Size-1) != 0):
		return errors.New("Aligned needs memory whose Size is a power of two")
	case a.Object != "" && a.Kind != ArgObject && a.Kind != ArgDynptr && a.Kind != ArgIter:
		return errors.New("Object is for objects")
	case a.Release && a.Kind != ArgObject && a.Kind != ArgRingBufMem && a.Kind != ArgDynptr && a.Kind != ArgKptr && a.Kind != ArgIter:
		return errors.New("Release is for arguments that can own a reference")
	case a.Nullable && (a.Kind == ArgSize || a.Kind == ArgSizeOrZero || a.Kind == ArgConstAllocSize || a.Kind == ArgAnything):
		return errors.New("Nullable is for pointers")
	}
	return nil
}

// givesSize reports whether argument i is the size of a memory argument.
func (p *Proto) givesSize(i int) bool {
	for j := range p.Args[:i] {
		if p.SizeArg(j) == i {
			return true
		}
	}
	return false
}

// hasMapBefore reports whether an argument before i is a map.
func (p *Proto) hasMapBefore(i int) bool {
	for _, a := range p.Args[:i] {
		if a.Kind == ArgMapPtr {
			return true
		}
	}
	return false
}

func (p *Proto) checkRet(alloc bool) error {
	r := &p.Ret
	switch r.Kind {
	case RetInteger:
		if r.Min > r.Max {
			return fmt.Errorf("no value lies in [%d, %d]", r.Min, r.Max)
		}
	case RetVoid:
	case RetMapValue:
		if !p.hasMapBefore(len(p.Args)) {
			return errors.New("the value of a map, yet no argument is a map")
		}
	case RetMem:
		if (r.Size != 0) == alloc {
			return errors.New("memory needs one size: Size, or an ArgConstAllocSize argument")
		}
		if r.Size >= MaxMem {
			return fmt.Errorf("memory of %d bytes; %d is the most", r.Size, MaxMem-1)
		}
	case RetObject:
		if r.Object == "" {
			return errors.New("an object of no type: give Object")
		}
	default:
		return fmt.Errorf("unknown kind %d", r.Kind)
	}
	pointer := r.Kind == RetMapValue || r.Kind == RetMem || r.Kind == RetObject
	switch {
	case (r.Min != 0 || r.Max != 0) && r.Kind != RetInteger:
		return errors.New("Min and Max are for integers")
	case r.AtMost != 0 && (r.Kind != RetInteger || r.Min != 0 || r.Max != 0):
		return errors.New("AtMost is for integers that have no other bounds")
	case r.AtMost < 0 || r.AtMost > len(p.Args) || r.AtMost > 0 && p.Args[r.AtMost-1].Kind != ArgSize && p.Args[r.AtMost-1].Kind != ArgSizeOrZero:
		return errors.New("AtMost names an argument that is no size")
	case r.Size != 0 && r.Kind != RetMem:
		return errors.New("Size is for memory")
	case alloc && r.Kind != RetMem:
		return errors.New("an ArgConstAllocSize argument, yet the result is not memory")
	case r.RingBuf && r.Kind != RetMem:
		return errors.New("RingBuf is for memory")
	case r.Object != "" && r.Kind != RetObject:
		return errors.New("Object is for objects")
	case r.Nullable && !pointer:
		return errors.New("Nullable is for pointers")
	case r.ReadOnly && r.Kind != RetMem && r.Kind != RetMapValue:
		return errors.New("ReadOnly is for memory")
	case p.AcquiresObject && !pointer:
		return errors.New("AcquiresObject says that it is a reference, yet it is no pointer")
	}
	return nil
}

// Check reports why f cannot be registered: it has no name, or its prototype
// contradicts itself. The error names f.
func (f *Func) Check() error {
	if f == nil {
		return errors.New("helper: nil")
	}
	if f.Name == "" {
		return errors.New("helper without a name")
	}
	if err := f.Proto.Check(); err != nil {
		return fmt.Errorf("helper %s: %w", f.Name, err)
	}
	return nil
}
