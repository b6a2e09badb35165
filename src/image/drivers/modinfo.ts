/** Where an ELF header and its section headers keep what is needed to find a section (elf(5)), for each class. */
interface ElfLayout {
  readonly headerSize: number;
  readonly sectionsAt: number; // e_shoff
  readonly sectionSizeAt: number; // e_shentsize; e_shnum and e_shstrndx follow
  readonly sectionSize: number; // of Elf_Shdr
  readonly offsetAt: number; // sh_offset in it
  readonly sizeAt: number; // sh_size
  readonly wide: boolean; // offsets and sizes have 8 bytes
}

const ELF32: ElfLayout = {
  ...{ headerSize: 52, sectionsAt: 0x20, sectionSizeAt: 0x2e, sectionSize: 40 },
  ...{ offsetAt: 0x10, sizeAt: 0x14, wide: false },
};
const ELF64: ElfLayout = {
  ...{ headerSize: 64, sectionsAt: 0x28, sectionSizeAt: 0x3a, sectionSize: 64 },
  ...{ offsetAt: 0x18, sizeAt: 0x20, wide: true },
};

const ELF_MAGIC = Buffer.from([0x7f, 0x45, 0x4c, 0x46]);

/**
 * The release of the kernel that a module is built for: the first word of `vermagic` in its section .modinfo
 * (module.c: check_modinfo). Undefined for what is no kernel module.
 */
export function kernelOf(module: Buffer): string | undefined {
  const info = section(module, '.modinfo');
  const vermagic = info
    ?.toString('latin1')
    .split('\0')
    .find((field) => field.startsWith('vermagic='));
  const release = vermagic?.slice('vermagic='.length).split(' ')[0];
  return release !== undefined && /^[\w.+~-]+$/.test(release) ? release : undefined;
}

/** The bytes of the section `name` of an ELF file; undefined when there is none, or no ELF file. */
function section(file: Buffer, name: string): Buffer | undefined {
  if (!file.subarray(0, 4).equals(ELF_MAGIC)) return undefined;
  const layout = file[4] === 2 ? ELF64 : ELF32;
  if (file.length < layout.headerSize) return undefined;
  const little = file[5] !== 2;
  const half = (at: number): number => (little ? file.readUInt16LE(at) : file.readUInt16BE(at));
  const word = (at: number): number => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  const offset = (at: number): number => {
    if (!layout.wide) return word(at);
    return Number(little ? file.readBigUInt64LE(at) : file.readBigUInt64BE(at));
  };
  const first = offset(layout.sectionsAt);
  const each = half(layout.sectionSizeAt);
  const count = half(layout.sectionSizeAt + 2);
  if (each < layout.sectionSize || first + each * count > file.length) return undefined;
  const bytesOf = (index: number): Buffer => {
    const header = first + index * each;
    const start = offset(header + layout.offsetAt);
    return file.subarray(start, Math.min(file.length, start + offset(header + layout.sizeAt)));
  };
  const namesIndex = half(layout.sectionSizeAt + 4);
  if (namesIndex >= count) return undefined;
  const names = bytesOf(namesIndex);
  const wanted = Buffer.from(`${name}\0`, 'latin1');
  for (let index = 0; index < count; index++) {
    const at = word(first + index * each); // sh_name
    if (names.subarray(at, at + wanted.length).equals(wanted)) return bytesOf(index);
  }
  return undefined;
}
