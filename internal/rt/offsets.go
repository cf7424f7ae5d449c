package rt

import "unsafe"

// Offsets in a Context, in bytes, for machine code.
const (
	OffR0        = int32(unsafe.Offsetof(Context{}.R0))
	OffArg       = int32(unsafe.Offsetof(Context{}.Arg))
	OffMeter     = int32(unsafe.Offsetof(Context{}.Meter))
	OffFrame     = int32(unsafe.Offsetof(Context{}.Frame))
	OffCPU       = int32(unsafe.Offsetof(Context{}.CPU))
	OffPacket    = int32(unsafe.Offsetof(Context{}.Packet))
	OffRandom    = int32(unsafe.Offsetof(Context{}.Random))
	OffPacketEnd = int32(unsafe.Offsetof(Context{}.PacketEnd))
	OffSave      = int32(unsafe.Offsetof(Context{}.Save))
	OffHeldTop   = int32(unsafe.Offsetof(Context{}.HeldTop))
	OffTails     = int32(unsafe.Offsetof(Context{}.Tails))
	OffKind      = int32(unsafe.Offsetof(Context{}.Kind))
	OffTarget    = int32(unsafe.Offsetof(Context{}.target))
	OffEnd       = int32(unsafe.Offsetof(Context{}.end))
	// OffHeld is where the first Held is; what lies before it reads as zeros.
	OffHeld = int32(unsafe.Offsetof(Context{}.held))

	// OffFrames is where the frames begin, right behind the Context.
	OffFrames = int32(unsafe.Sizeof(Context{}))

	// Of a Target.
	TargetEntry  = int32(unsafe.Offsetof(Target{}.entry))
	TargetKind   = int32(unsafe.Offsetof(Target{}.Kind))
	TargetWeight = int32(unsafe.Offsetof(Target{}.Weight))
	TargetSpan   = int32(unsafe.Offsetof(Target{}.Span))
)
