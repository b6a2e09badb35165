import * as z from 'zod';

const file = z.string().min(1);

function isPattern(text: string): boolean {
  try {
    return new RegExp(text, 'u') instanceof RegExp;
  } catch {
    return false;
  }
}

/** `signing`: who signs the package repositories of this site. */
export const signing = z
  .strictObject({
    by: z
      .enum(['nobody', 'gnupg', 'script', 'service'])
      .default('nobody')
      .describe('What signs: gnupg, script or service; nobody: repositories that change are unsigned'),
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be letters, digits, dots, dashes and underscores')
      .optional()
      .describe('The public key is exported as RPM-GPG-KEY-name; without it the name of the site')
      .meta({ examples: ['rack7'] }),
    gnupg: z
      .strictObject({
        key: z
          .string()
          .min(1)
          .optional()
          .describe('Fingerprint, key id or user id; without it the one secret key that is there'),
        home: file
          .optional()
          .describe('GnuPG’s home; below the site unless absolute; without it GnuPG’s own choice'),
      })
      .optional()
      .describe('The key on this machine that gnupg signs with: key, home')
      .meta({ examples: [{ key: 'site@rack.example', home: 'gnupg' }] }),
    script: file
      .optional()
      .describe(
        'The program that signs: it gets the tree’s directory as its argument, as create-iso’s --sign-script; below the site unless absolute',
      )
      .meta({ examples: ['sign.sh'] }),
    service: z
      .strictObject({
        url: z
          .string()
          .regex(/^https:\/\/[^/?#\s@]+(?:\/\S*)?$/, 'must be an https:// URL')
          .describe('What is signed is sent there by POST'),
        key: file.describe(
          'File of the public key that it signs with, armored; below the site unless absolute',
        ),
        ca: file
          .optional()
          .describe('File of the authority of its certificate, PEM; without it the system’s'),
      })
      .optional()
      .describe(
        'The service that signs over HTTPS: url, key, ca. Its one-time code is $RACKBOOT_SIGNING_CODE, or asked for',
      )
      .meta({ examples: [{ url: 'https://sign.rack.example/', key: 'service.asc', ca: 'ca.pem' }] }),
  })
  .refine(({ by, script }) => by !== 'script' || script !== undefined, {
    error: 'must be set when signing.by is script',
    path: ['script'],
  })
  .refine(({ by, service }) => by !== 'service' || service !== undefined, {
    error: 'must be set when signing.by is service',
    path: ['service'],
  });

/** `mirror`: what `repo mirror` knows by name and leaves out. */
export const mirror = z.strictObject({
  versions: z
    .record(
      z.string().regex(/^[^/\s]+$/, 'must be a version'),
      z.string().regex(/^(?:https?|file):\/\/\S+$/, 'must be an http://, https:// or file:// URL'),
    )
    .default({
      '8.2': 'https://updates.xcp-ng.org/8/8.2',
      '8.3': 'https://updates.xcp-ng.org/8/8.3',
    })
    .describe('The repositories that repo mirror knows by a version'),
  exclude: z
    .array(z.string().min(1).refine(isPattern, 'must be a regular expression'))
    .default(['/Source/', '-debuginfo-', '-debug-', '-devel[-_]', '/xs-opam-repo', '/ocaml', '/golang'])
    .describe(
      'What is not mirrored: regular expressions over paths below the source, which begin with a slash',
    ),
  jobs: z
    .int('must be a whole number from 1 to 64')
    .min(1, 'must be a whole number from 1 to 64')
    .max(64, 'must be a whole number from 1 to 64')
    .default(8)
    .describe('Files fetched at one time'),
});
