import { decodeDescriptor } from '../../image/archive.js';
import type { GenerationManifest } from '../../osimage/types.js';
import { readBlob } from '../../store/extents.js';
import type { BlobReader } from '../../store/types.js';
import { mbootArguments } from './arguments.js';
import { BootError } from './errors.js';
import type { XenBoot } from './plan.js';

/**
 * Whether mboot.c32 would lose part of the file at `path`: it unpacks a module that begins with gzip, and stops where
 * that stream ends, without a word. Archives that begin otherwise go through as they are.
 */
export async function losesArchives(
  blobs: BlobReader,
  { archives }: Pick<GenerationManifest, 'archives'>,
  path: string,
): Promise<boolean> {
  const digest = archives[path];
  if (digest === undefined) return false;
  const [first, ...others] = decodeDescriptor(await readBlob(blobs, digest)).frames;
  return (
    first?.codec === 'gzip' && others.some(({ segments }) => segments.some(({ kind }) => kind === 'entries'))
  );
}

/** The words behind APPEND for mboot.c32: hypervisor, kernel and archive, as `path` names them. Throws BootError. */
export function mbootModules(plan: XenBoot, path: (name: string) => string): string {
  const { initrd } = plan;
  if (initrd !== undefined && plan.isFirstOfSeveral) {
    throw new BootError(
      'BAD_ENTRY',
      `${plan.what}: mboot.c32 unpacks the first gzip archive of ${initrd} and loses those behind it; boot it by iPXE or GRUB, or make one archive of them`,
    );
  }
  return mbootArguments([
    [path(plan.hypervisor), ...plan.hypervisorArgs],
    [path(plan.kernel), ...plan.args],
    ...(initrd === undefined ? [] : [[path(initrd)] as const]),
  ]);
}
