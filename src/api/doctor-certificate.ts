import { resolve } from 'node:path';
import { messageOf } from '../errors.js';
import { readCertificate } from '../pxe/http/certificate.js';
import type { Site } from '../site/site.js';
import { type Check, problem } from './doctor.js';

/** A certificate that ends sooner is warned of, in milliseconds. */
const SOON = 14 * 86_400_000;

/** Looks at the certificate of HTTPS, where there is one: whether `serve` can use it, and for how long. */
export async function checkCertificate({ dir, config }: Site, now: number): Promise<readonly Check[]> {
  const { tls } = config.http;
  if (tls === undefined) return [];
  const what = 'HTTPS';
  try {
    const { validTo } = await readCertificate(resolve(dir, tls.cert), resolve(dir, tls.key));
    const left = Date.parse(validTo) - now;
    const mend = 'renew it, then send SIGHUP to rackboot serve';
    if (left < 0) return [problem(what, 'fault', `${tls.cert} has ended on ${validTo}; ${mend}`)];
    if (left < SOON) return [problem(what, 'warning', `${tls.cert} ends on ${validTo}; ${mend}`)];
    return [{ what, state: 'ok', detail: `a certificate until ${validTo}`, mend: null }];
  } catch (error) {
    return [problem(what, 'fault', messageOf(error))];
  }
}
