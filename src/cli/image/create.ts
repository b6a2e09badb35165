import path from 'node:path';
import { Option, type Command } from 'commander';
import { createOsimage, type EfiInstaller } from '../../osimage/create/create-osimage.js';
import { shortId } from '../../osimage/manifest.js';
import { type Context, UsageError } from '../context.js';
import { collect } from '../repeated.js';
import { scriptSigner, siteSigner } from '../signer.js';
import { formatBytes, formatDuration } from '../table.js';
import { sourceDateEpoch } from './epoch.js';
import { absoluteLayerSpec, layerSearchDirs } from './layer-search.js';
import { resultJson, stopwatch } from './result.js';
import { joinSourceUrls, parseDefinedRepository, parseSourceUrls } from './source-options.js';
import { untilStopped } from './until-stopped.js';

interface Options {
  readonly layers: string;
  readonly srcurl?: readonly string[];
  readonly defineRepo?: readonly string[];
  readonly extraPackages?: readonly string[];
  readonly netinstall?: true;
  readonly efiInstaller: EfiInstaller;
  readonly signScript?: string;
  readonly acceptFailedScripts?: true;
  readonly verbose?: true;
}

/** RPM's name of the machines that XCP-ng is for. */
const ARCH = 'x86_64';

/** `image create`: an installer made of packages, as create-installimg and create-iso make one. */
export function registerCreate(image: Command, context: Context): void {
  const create = image.command('create');
  const parseOptions = create.parseOptions.bind(create);
  create.parseOptions = (argv) => parseOptions(joinSourceUrls(argv));
  create
    .summary('make an osimage of packages')
    .description(
      'Makes an installer out of the packages of repositories, as create-install-image’s scripts do, and publishes it as the first generation of a new osimage: install.img of what packages.lst of the layers names, the boot files of the packages kernel, xen-hypervisor, syslinux and grub-efi, menus and .treeinfo of templates/iso, and a repository of xcp-ng-deps with all it needs. The same packages and layers give the same bytes.',
    )
    .argument('<osimage>', 'what the osimage is to be called')
    .requiredOption('--layers <layers>', 'L[:L…]: the release first, then layers with repositories')
    .option(
      '--srcurl <url>',
      'where the layers’ repositories lie, in place of the release’s; --srcurl:LAYER URL for those of one layer',
      collect,
    )
    .option('-D, --define-repo <nick!url>', 'a repository besides; may be repeated', collect)
    .option(
      '--extra-packages <names>',
      'packages to add to the tree, with what they need; may be repeated',
      collect,
    )
    .option('--netinstall', 'without a tree: the installer asks where to install from')
    .addOption(
      new Option('--efi-installer <from>', 'GRUB from the package grub-efi, or made here by grub-mkimage')
        .choices(['rpm', 'mkimage'])
        .default('rpm'),
    )
    .option('--sign-script <file>', 'sign the tree with a program that gets its directory as its argument')
    .option('--accept-failed-scripts', 'go on where a package’s script fails, and say which')
    .option('-v, --verbose', 'show what dnf prints')
    .addHelpText(
      'after',
      `
Packages are installed by dnf in a scratch directory of the site; their scripts run there, as root or, for any other
user, as root of a user namespace. Without SOURCE_DATE_EPOCH, the time of what is new in the image is that at which
its newest package was built. The tree is signed as rackboot.yaml says under signing.

Examples:
  rackboot image create xcp83 --layers 8.3:updates
  rackboot image create xcp83 --layers 8.3:testing --srcurl file:///srv/mirrors/xcpng/8.3
  rackboot image create mine --layers 8.3:./mine:base --srcurl:mine http://repo.example/mine -D 'site!http://repo.example/site'`,
    )
    .action(async (osimage: string, options: Options) => {
      const { netinstall, extraPackages, signScript } = options;
      if (netinstall === true && (signScript !== undefined || extraPackages !== undefined))
        throw new UsageError(
          `--netinstall makes no tree; leave ${signScript === undefined ? '--extra-packages' : '--sign-script'} out`,
        );
      const sourceUrls = parseSourceUrls(options.srcurl ?? []);
      const definedRepositories = (options.defineRepo ?? []).map(parseDefinedRepository);
      const { site, store } = await context.openStore();
      const elapsed = stopwatch();
      const result = await untilStopped(false, (signal) =>
        createOsimage(store, {
          osimage,
          configs: {
            spec: absoluteLayerSpec(options.layers),
            searchDirs: layerSearchDirs(site),
            sourceUrls,
            definedRepositories,
            releaseUrls: site.config.mirror.versions,
            arch: ARCH,
          },
          netinstall: netinstall === true,
          extraPackages: (extraPackages ?? [])
            .flatMap((names) => names.split(/[\s,]+/))
            .filter((name) => name !== ''),
          efi: options.efiInstaller,
          acceptsFailedScripts: options.acceptFailedScripts === true,
          signer: () =>
            signScript === undefined ? siteSigner(site) : scriptSigner(path.resolve(signScript)),
          ...sourceDateEpoch(),
          user: { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 },
          signal,
          onStep: (line) => context.note(line),
          onLine: (line) => (options.verbose === true ? context.note(line) : undefined),
        }),
      );
      const ms = elapsed();
      for (const line of result.notes) context.note(line);
      context.print(resultJson(result, ms), () => {
        const { record, manifest } = result;
        const files = [...manifest.files, ...manifest.tree];
        const bytes = files.reduce((sum, file) => sum + file.size, 0);
        return `${record.osimage} generation ${record.number} (${shortId(record.id)}), family ${manifest.family}: ${files.length} files, ${formatBytes(bytes)}, in ${formatDuration(ms)}`;
      });
    });
}
