package helpers

// Helpers that read the host's clocks.

var (
	KtimeGetNs       = clock("ktime_get_ns", ClockMonotonic)
	KtimeGetBootNs   = clock("ktime_get_boot_ns", ClockBoot)
	KtimeGetCoarseNs = clock("ktime_get_coarse_ns", ClockCoarse)
	KtimeGetTaiNs    = clock("ktime_get_tai_ns", ClockTAI)
	Jiffies64        = clock("jiffies64", ClockJiffies)
)

func clock(name string, c Clock) *Func {
	return &Func{
		Name: name,
		Impl: func(env Env, _, _, _, _, _ uint64) uint64 { return env.Host().Now(c) },
	}
}
