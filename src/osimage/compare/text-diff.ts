import { createTwoFilesPatch } from 'diff';
import { isRegular } from '../../image/cpio/header.js';
import type { ComparedFile } from './tree.js';

/** The largest file compared line by line, bytes. */
const MAX_TEXT = 1 << 20;
/** Lines that may differ before two files count as too different to compare in reasonable time. */
const MAX_EDITS = 10_000;

/**
 * The unified diff of two text files, either of which may be missing: bytes that are UTF-8 without NUL, 1 MiB at most.
 * Undefined when one is no such file.
 */
export async function textDiff(
  name: string,
  before: ComparedFile | undefined,
  after: ComparedFile | undefined,
): Promise<string | undefined> {
  const [old, now] = [await textIn(before), await textIn(after)];
  if (old === undefined || now === undefined) return undefined;
  const [from, to] = [
    before === undefined ? '/dev/null' : `a${name}`,
    after === undefined ? '/dev/null' : `b${name}`,
  ];
  return createTwoFilesPatch(from, to, old, now, undefined, undefined, {
    maxEditLength: MAX_EDITS,
    headerOptions: { includeIndex: false, includeUnderline: false, includeFileHeaders: true },
  });
}

async function textIn(file: ComparedFile | undefined): Promise<string | undefined> {
  if (file === undefined) return '';
  if (!isRegular(file.mode) || file.size > MAX_TEXT) return undefined;
  const chunks: Buffer[] = [];
  for await (const chunk of file.read()) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
