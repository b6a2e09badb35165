import { createHash } from 'node:crypto';

/** A SHA-256 in 64 lower-case hexadecimal digits; the name of a blob. */
export type Digest = string & { readonly __digest: 'sha256' };

/** The SHA-256 of `data`. */
export function sha256(data: Buffer | string): Digest {
  return createHash('sha256').update(data).digest('hex') as Digest;
}

/** `text` as a digest, or undefined when it is not 64 lower-case hexadecimal digits. */
export function asDigest(text: string): Digest | undefined {
  return /^[0-9a-f]{64}$/.test(text) ? (text as Digest) : undefined;
}
