import { parseAddress } from '../../node/nodes.js';

/** What a path below xCAT's tftpdir is. */
export type XcatPath =
  /** A node's configuration. xNBA on UEFI is told its archives by name. */
  | {
      readonly kind: 'config';
      readonly loader: 'xnba' | 'xnba-uefi' | 'pxelinux' | 'grub';
      readonly of: NodeName;
    }
  /** What xCAT has for machines that are no node. */
  | { readonly kind: 'discovery' }
  /** A node's own GRUB: DHCP names it as the boot file. */
  | { readonly kind: 'grub'; readonly node: string }
  /** xCAT's own first loader. */
  | { readonly kind: 'xnba-loader'; readonly file: 'xnba.kpxe' | 'xnba.efi' }
  /** The kernel or archive of an osimage's default entry. */
  | { readonly kind: 'boot-file'; readonly osimage: string; readonly part: 'kernel' | 'initrd' };

/** How a path names a node: by its name, or by its address as eight hexadecimal digits. */
export type NodeName = { readonly node: string } | { readonly address: string };

const KERNELS = ['kernel', 'vmlinuz', 'linux'];
const INITRDS = ['initrd-stateless.gz', 'initrd.img', 'initrd', 'initrd.gz'];

/** `path`, which is below tftpdir and has no first slash, as xCAT lays its files out; undefined for any other. */
export function readXcatPath(path: string): XcatPath | undefined {
  const [, node, uefi] = /^xcat\/xnba\/nodes\/([^/]+?)(\.uefi)?$/.exec(path) ?? [];
  if (node !== undefined) {
    return { kind: 'config', loader: uefi === undefined ? 'xnba' : 'xnba-uefi', of: { node } };
  }
  if (/^xcat\/xnba\/nets\/[0-9._]+(?:\.uefi)?$/.test(path)) return { kind: 'discovery' };
  if (path === 'xcat/xnba.kpxe' || path === 'xcat/xnba.efi') {
    return { kind: 'xnba-loader', file: path === 'xcat/xnba.efi' ? 'xnba.efi' : 'xnba.kpxe' };
  }
  const [, osimage, file = ''] = /^xcat\/osimage\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  if (osimage !== undefined) {
    if (KERNELS.includes(file)) return { kind: 'boot-file', osimage, part: 'kernel' };
    return INITRDS.includes(file) ? { kind: 'boot-file', osimage, part: 'initrd' } : undefined;
  }
  const [, pxelinux] = /^pxelinux\.cfg\/([^/]+)$/.exec(path) ?? [];
  if (pxelinux !== undefined) return { kind: 'config', loader: 'pxelinux', of: nodeNamed(pxelinux) };
  const [, own] = /^boot\/grub2\/grub2-([^/]+)$/.exec(path) ?? [];
  if (own !== undefined) return { kind: 'grub', node: own };
  const [, hex] = /^boot\/grub2\/grub\.cfg-([0-9A-Fa-f]{8})$/.exec(path) ?? [];
  if (hex !== undefined) return { kind: 'config', loader: 'grub', of: nodeNamed(hex) };
  const [, grub] = /^boot\/grub2\/([^/]+)$/.exec(path) ?? [];
  if (grub === undefined || /^grub/.test(grub)) return undefined;
  return { kind: 'config', loader: 'grub', of: { node: grub } };
}

/** Eight hexadecimal digits are an address, unless they can be none; anything else is a name. */
function nodeNamed(text: string): NodeName {
  if (!/^[0-9A-Fa-f]{8}$/.test(text)) return { node: text };
  try {
    return {
      address: parseAddress((text.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16)).join('.')),
    };
  } catch {
    return { node: text };
  }
}
