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
	OffPacketEnd = int32(unsafe.Offsetof(Context{}.PacketEnd))
	OffSave      = int32(unsafe.Offsetof(Context{}.Save))
	OffHeldTop   = int32(unsafe.Offsetof(Context{}.HeldTop))
	// OffHeld is where the first Held is; what lies before it reads as zeros.
	OffHeld = int32(unsafe.Offsetof(Context{}.held))

	// OffFrames is where the frames begin, right behind the Context.
	OffFrames = int32(unsafe.Sizeof(Context{}))
)
