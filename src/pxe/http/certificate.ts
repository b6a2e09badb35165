import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { codeOf, messageOf } from '../../errors.js';
import { PxeError } from '../errors.js';

/** The operator's certificate with its chain, and its private key, both PEM and fit for each other. */
export interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly validTo: string; // "Nov 21 16:31:12 2027 GMT"
}

/** Reads a certificate and its key. Throws PxeError BAD_CERTIFICATE, which names the files and nothing they hold. */
export async function readCertificate(certFile: string, keyFile: string): Promise<Certificate> {
  const [cert, key] = [await readPem(certFile, 'cert'), await readPem(keyFile, 'key')];
  try {
    createSecureContext({ cert, key });
    return { cert, key, validTo: new X509Certificate(cert).validTo };
  } catch (error) {
    throw new PxeError(
      'BAD_CERTIFICATE',
      `${certFile} and ${keyFile} do not make a certificate with its key (${codeOf(error) ?? 'not PEM'}); put PEM files that belong together there, the key without a passphrase`,
    );
  }
}

async function readPem(file: string, name: 'cert' | 'key'): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    throw new PxeError(
      'BAD_CERTIFICATE',
      `${file} cannot be read (${codeOf(error) ?? messageOf(error)}); put a PEM file there, or change http.tls.${name} in rackboot.yaml`,
      { cause: error },
    );
  }
}
