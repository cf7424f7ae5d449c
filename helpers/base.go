package helpers

// Base returns the helpers that need no particular context, with Linux's
// numbers (include/uapi/linux/bpf.h, enum bpf_func_id): what a hook point may
// offer to every program.
func Base() *Set { return base }

var base = NewSet(map[ID]*Func{
	1:   MapLookupElem,
	2:   MapUpdateElem,
	3:   MapDeleteElem,
	5:   KtimeGetNs,
	6:   TracePrintk,
	7:   GetPrandomU32,
	8:   GetSMPProcessorID,
	12:  tailCall,
	14:  GetCurrentPidTgid,
	15:  GetCurrentUidGid,
	16:  GetCurrentComm,
	28:  CsumDiff,
	42:  GetNUMANodeID,
	87:  MapPushElem,
	88:  MapPopElem,
	89:  MapPeekElem,
	93:  SpinLock,
	94:  SpinUnlock,
	105: Strtol,
	106: Strtoul,
	118: Jiffies64,
	125: KtimeGetBootNs,
	130: RingBufOutput,
	131: RingBufReserve,
	132: RingBufSubmit,
	133: RingBufDiscard,
	134: RingBufQuery,
	160: KtimeGetCoarseNs,
	164: ForEachMapElem,
	165: Snprintf,
	177: TraceVprintk,
	181: Loop,
	182: Strncmp,
	195: MapLookupPerCPUElem,
	208: KtimeGetTaiNs,
}, nil)
