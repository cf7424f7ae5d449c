/* Kernel configuration, of every type. */
#include "bpf.h"

enum libbpf_tristate { TRI_NO = 0, TRI_YES = 1, TRI_MODULE = 2 };

extern int LINUX_KERNEL_VERSION __kconfig;
extern bool LINUX_HAS_SYSCALL_WRAPPER __kconfig __weak;
extern bool CONFIG_BPF __kconfig;
extern enum libbpf_tristate CONFIG_VETH __kconfig;
extern char CONFIG_LETTER __kconfig;
extern char CONFIG_NAME[8] __kconfig;
extern unsigned long long CONFIG_BIG __kconfig;
extern short CONFIG_NEGATIVE __kconfig;
extern int CONFIG_ABSENT __kconfig __weak;
extern int CONFIG_NEEDED __kconfig;

SEC("socket") int version(struct __sk_buff *skb)
{
	return LINUX_KERNEL_VERSION;
}

SEC("socket") int all(struct __sk_buff *skb)
{
	return LINUX_HAS_SYSCALL_WRAPPER + CONFIG_BPF + CONFIG_VETH + CONFIG_LETTER + CONFIG_NAME[1] + CONFIG_BIG +
	       CONFIG_NEGATIVE + CONFIG_ABSENT;
}

SEC("socket") int needs(struct __sk_buff *skb)
{
	return CONFIG_NEEDED;
}
