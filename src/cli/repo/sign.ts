import path from 'node:path';
import type { Command } from 'commander';
import { RepoError } from '../../repo/errors.js';
import { gnupgSigner } from '../../repo/signing/gnupg.js';
import { signTree, unsignTree } from '../../repo/signing/sign-tree.js';
import type { Signer } from '../../repo/signing/signer.js';
import { type Context, UsageError } from '../context.js';
import { sourceDateEpoch } from '../image/epoch.js';
import { scriptSigner, siteSigner } from '../signer.js';
import { siteOrDefault } from './site-or-default.js';

interface SignOptions {
  readonly key?: string;
  readonly gnupgHome?: string;
  readonly signScript?: string;
  readonly name?: string;
  readonly onlyThisKey?: true;
  readonly remove?: true;
}

export function registerRepoSign(repo: Command, context: Context): void {
  repo
    .command('sign')
    .summary('sign the metadata of a repository')
    .description(
      'Writes repodata/repomd.xml.asc and RPM-GPG-KEY-name, and lists the key in .treeinfo where there is one. Keys that were listed before stay in the key file, after the signer’s, for the packages that they signed. Signs as rackboot.yaml says under signing, unless an option names a key or a script. The signature is checked as an installer would.',
    )
    .argument('<dir>', 'the repository')
    .option('--key <key>', 'sign with this key of GnuPG: fingerprint, key id or user id')
    .option('--gnupg-home <dir>', 'GnuPG’s home; without it GnuPG’s own choice')
    .option('--sign-script <file>', 'sign with a program that gets the directory as its argument')
    .option('--name <name>', 'the name of the key file, RPM-GPG-KEY-name; without it the site’s')
    .option('--only-this-key', 'leave the keys that were listed before out of the key file')
    .option('--remove', 'take the signature away, and the keys off the list: installers check nothing then')
    .addHelpText(
      'after',
      '\nExamples:\n  rackboot repo sign /srv/xcp-ng\n  rackboot repo sign /srv/xcp-ng --key site@rack.example --name site\n  rackboot repo sign /srv/xcp-ng --sign-script ./sign.sh\n  rackboot repo sign /srv/xcp-ng --remove',
    )
    .action(async (dir: string, options: SignOptions) => {
      if (options.remove === true) {
        if (Object.keys(options).length > 1)
          throw new UsageError('--remove takes the signature away, and nobody signs; give it alone');
        const wasSigned = await unsignTree(dir);
        context.print(
          { dir, signed: false, wasSigned },
          () => `${dir}: not signed; installers check no signature`,
        );
        return;
      }
      const signer = await signerFor(context, options);
      const signed = await signTree(path.resolve(dir), signer, {
        ...timeOf(sourceDateEpoch()),
        dropsListed: options.onlyThisKey === true,
      });
      const keys = signed.keys.map(({ fingerprint, owner }) => ({ fingerprint, owner }));
      context.print(
        {
          dir,
          signed: true,
          fingerprint: signed.fingerprint,
          digest: signed.digest,
          keyFile: signed.keyFile,
          keys,
        },
        () =>
          [
            `${dir}: signed by ${signed.fingerprint} (${signed.digest})`,
            ...keys.map(({ fingerprint, owner }) => `${signed.keyFile}: ${fingerprint} ${owner}`),
          ].join('\n'),
      );
    });
}

function timeOf({ epoch }: { readonly epoch?: number }): { readonly time?: number } {
  return epoch === undefined ? {} : { time: epoch };
}

/** Who signs: whom the options name, else as the site says. Throws UsageError, RepoError NO_KEY. */
export async function signerFor(context: Context, options: SignOptions): Promise<Signer> {
  const { key, gnupgHome, signScript, name } = options;
  if (name !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name))
    throw new UsageError(
      `--name ${JSON.stringify(name)}: it ends a file's name, RPM-GPG-KEY-…; use letters, digits, dots, dashes and underscores`,
    );
  const byKey = key !== undefined || gnupgHome !== undefined;
  if (signScript !== undefined && (byKey || name !== undefined || options.onlyThisKey === true))
    throw new UsageError('a sign script names its key itself: --sign-script goes alone');
  if (signScript !== undefined) return scriptSigner(path.resolve(signScript));
  const site = await siteOrDefault(context);
  if (byKey) {
    return gnupgSigner({
      name: name ?? site.config.signing.name ?? site.config.name,
      ...(key === undefined ? {} : { key }),
      ...(gnupgHome === undefined ? {} : { home: path.resolve(gnupgHome) }),
    });
  }
  const signer = await siteSigner(site);
  if (signer === undefined) {
    throw new RepoError(
      'NO_KEY',
      'nobody to sign: name a key with --key, a program with --sign-script, or set signing in rackboot.yaml',
    );
  }
  if (signer.kind === 'script') {
    if (name === undefined && options.onlyThisKey !== true) return signer;
    throw new UsageError(
      'the site’s signer is a script, which names its key itself; leave --name and --only-this-key out',
    );
  }
  return name === undefined ? signer : { ...signer, name };
}
