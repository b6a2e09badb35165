import { UsageError } from '../context.js';

/** The time that new entries are to have, where SOURCE_DATE_EPOCH sets one (reproducible-builds.org, seconds). */
export function sourceDateEpoch(): { readonly epoch?: number } {
  const text = process.env['SOURCE_DATE_EPOCH'];
  if (text === undefined || text === '') return {};
  if (!/^\d{1,10}$/.test(text) || Number(text) > 0xffff_ffff) {
    throw new UsageError(
      `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}; it must be a number of seconds since 1970, at most 4294967295`,
    );
  }
  return { epoch: Number(text) };
}
