/** Boot entries of the product's medium, in the words of XCP-ng's: hypervisor arguments, then those of dom0's kernel. */
const entries: readonly { readonly label: string; readonly xen: string; readonly linux: string }[] = [
  { label: 'install', xen: 'com1=115200,8n1 console=com1,vga', linux: 'console=hvc0 console=tty0' },
  { label: 'no-serial', xen: 'console=vga', linux: 'console=tty0' },
  {
    label: 'safe',
    xen: 'no-real-mode nosmp noreboot noirqbalance com1=115200,8n1 console=com1,vga',
    linux: 'console=hvc0 console=tty0 acpi=off',
  },
  {
    label: 'multipath',
    xen: 'com1=115200,8n1 console=com1,vga',
    linux: 'console=hvc0 console=tty0 device_mapper_multipath=enabled',
  },
  { label: 'shell', xen: 'com1=115200,8n1 console=com1,vga', linux: 'console=hvc0 console=tty0 bash-shell' },
];

const DOM0 = 'dom0_max_vcpus=1-16 dom0_mem=max:8192M';

/** boot/isolinux/isolinux.cfg */
export const isolinuxConfig = `# The test product's medium
serial 0 115200
default install
display pg_main
prompt 1
timeout 50
${entries
  .map(
    ({ label, xen, linux }) => `
label ${label}
  kernel mboot.c32
  append /boot/xen.gz ${DOM0} ${xen} --- /boot/vmlinuz ${linux} --- /install.img
`,
  )
  .join('')}`;

/** boot/isolinux/pg_main */
export const isolinuxMessage = 'The test product: press return to install, or type a label.\n';

/** EFI/xenserver/grub.cfg; the copy inside efiboot.img finds the medium first. */
export const grubConfig = grub('');
export const grubConfigInImage = grub('search --file --set /install.img\n');

function grub(search: string): string {
  return `serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
insmod gzio
set default=0
set timeout=5
${search}${entries
    .map(
      ({ label, xen, linux }) => `
menuentry "${label}" {
    multiboot2 /boot/xen.gz ${DOM0} ${xen}
    module2 /boot/vmlinuz ${linux}
    module2 /install.img
}
`,
    )
    .join('')}`;
}
