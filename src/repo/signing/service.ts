import { request } from 'node:https';
import { messageOf } from '../../errors.js';
import { collect } from '../../image/chunks.js';
import { RepoError } from '../errors.js';
import { readKeys } from './openpgp.js';
import type { KeySigner } from './signer.js';

/** A signing service: what it is sent by POST it answers with a detached armored signature. */
export interface SigningService {
  readonly url: string; // https
  readonly publicKey: string; // armored: what it signs with
  readonly ca?: string; // PEM; without it the system’s authorities
  readonly name: string; // of the exported key file
  /** Gives a one-time code; asked once for each signature. */
  readonly code: () => Promise<string>;
}

const MAX_ANSWER = 64 * 1024; // bytes
const TIMEOUT = 60_000; // milliseconds

/**
 * Signs through a service over HTTPS: `POST url` with the bytes, and the one-time code in `Authorization: OTP …`. Redirects are
 * not followed, the code is sent nowhere else. Throws RepoError NO_KEY.
 */
export async function serviceSigner(service: SigningService): Promise<KeySigner> {
  const { name, publicKey } = service;
  const [key] = await readKeys(publicKey, 'the signing service’s public key');
  return {
    kind: 'key',
    identity: key?.fingerprint ?? '',
    name,
    publicKey: `${publicKey.trim()}\n`,
    sign: async (bytes) => ask(service, bytes, (await service.code()).trim()),
  };
}

function ask({ url, ca }: SigningService, bytes: Buffer, code: string): Promise<string> {
  const { origin } = new URL(url);
  const failed = (why: string, cause?: unknown): RepoError =>
    new RepoError('SIGNING_FAILED', `${origin}: ${why}`, { cause });
  return new Promise((resolve, reject) => {
    const options = {
      method: 'POST',
      agent: false as const,
      timeout: TIMEOUT,
      headers: {
        authorization: `OTP ${code}`,
        'content-type': 'application/octet-stream',
        'content-length': bytes.length,
        accept: 'application/pgp-signature',
      },
      ...(ca === undefined ? {} : { ca }),
    };
    const sent = request(url, options, (answer) => {
      const status = answer.statusCode ?? 0;
      if (status === 401 || status === 403)
        reject(failed('the signing service refused the code; ask for a new one and run this again'));
      else if (status !== 200) reject(failed(`the signing service answered ${status}; see its log`));
      else {
        limited(answer as AsyncIterable<Buffer>).then(
          (text) => resolve(`${text.trim()}\n`),
          (error: unknown) => reject(failed(messageOf(error), error)),
        );
        return;
      }
      answer.destroy();
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer for a minute')));
    sent.on('error', (error) =>
      reject(
        failed(
          `${messageOf(error)}; is this the signing service’s address, and its certificate known?`,
          error,
        ),
      ),
    );
    sent.end(bytes);
  });
}

async function limited(source: AsyncIterable<Buffer>): Promise<string> {
  let size = 0;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      size += chunk.length;
      if (size > MAX_ANSWER) throw new Error('the answer is too long for a signature');
      yield chunk;
    }
  };
  return (await collect(counted())).toString('latin1');
}
