import type { LayerDirectory } from '../../../image/layer-path.js';

/**
 * Everything that layers say of an installer that is made from packages, in the form of create-install-image's configs/.
 * Read by readCreateConfigs (read-configs.ts), which throws ImageError NO_SUCH_LAYER, BAD_LAYER (naming file and line) and
 * BAD_SOURCE_URL.
 */
export interface CreateConfigs {
  /** Highest first: the search path with what INCLUDE files name. */
  readonly layers: readonly LayerDirectory[];
  /** Name of the highest layer that is or ends in a version (`8.3`, `xcp-ng-8.3`); without one, of the highest layer. */
  readonly dist: string;
  /** That version: `$releasever` of package managers. */
  readonly release: string | undefined;
  /** What the root file system is made of: the words of the first packages.lst, in order, each once. Never empty. */
  readonly packages: readonly string[];
  /** The first yum.conf.tmpl: for the root file system. Wants YUMREPOSD, CACHEDIR (those that it holds). */
  readonly yumConf: ConfigTemplate;
  /** The first yumdl.conf.tmpl: for packages of the tree and of boot files. May also want ENABLE_PLUGINS. */
  readonly yumDownloadConf: ConfigTemplate;
  /** Filled in; one for each yum-repos.conf.tmpl of the path, then one for each repository defined by hand. Never empty. */
  readonly repositories: readonly RepositoryConfig[];
  /** Words of all installer-bootargs.lst, lowest layer first, for every kernel line of the medium. */
  readonly bootArguments: string;
  /** Directories whose files make the install tree, lowest first: of two files with one path the last one counts. */
  readonly isoTemplates: readonly string[];
  /** Directories whose files are put into the root file system as root:root, lowest first. */
  readonly installImageTemplates: readonly string[];
  /** What layers hold that only a build takes, a line a layer. */
  readonly notes: readonly string[];
}

/** A text with placeholders (`@@NAME@@`) that are filled in with fillTemplate (placeholders.ts). */
export interface ConfigTemplate {
  readonly where: string; // its file, for messages
  readonly text: string;
}

/** A file of yum.repos.d. */
export interface RepositoryConfig {
  readonly name: string; // of the layer, or what was defined by hand; the file is `<name>.repo`
  readonly text: string;
}

/** Everything that may stand between `@@` and `@@` in a layer. Any other is an error, by file and line. */
export const PLACEHOLDERS = [
  'YUMREPOSD',
  'ENABLE_PLUGINS',
  'CACHEDIR',
  'RPMARCH',
  'SRCURL',
  'REPOID',
  'REPOURL',
  'TIMESTAMP',
  'PLATFORM_NAME',
  'PLATFORM_VERSION',
  'PRODUCT_BRAND',
  'PRODUCT_VERSION',
] as const;

export type Placeholder = (typeof PLACEHOLDERS)[number];

/** What to put in. A placeholder that a text holds and that has no value here is an error. */
export type PlaceholderValues = Readonly<Partial<Record<Placeholder, string>>>;

/** Where the repositories of the layers lie: `--srcurl URL` and `--srcurl:LAYER URL`. URLs have no final slash. */
export interface SourceUrls {
  readonly all?: string;
  readonly byLayer: ReadonlyMap<string, string>;
}

/** A repository defined by hand: `--define-repo NICK!URL`. */
export interface DefinedRepository {
  readonly nick: string; // [A-Za-z0-9._-]+
  readonly url: string;
}

export interface CreateConfigsRequest {
  readonly spec: string; // L[:L…], as `image build --layers` takes it
  readonly searchDirs: readonly string[];
  readonly sourceUrls: SourceUrls;
  readonly definedRepositories: readonly DefinedRepository[];
  /** URL of a release's repositories where no source URL is given, by release: `mirror.versions` of rackboot.yaml. */
  readonly releaseUrls: Readonly<Record<string, string>>;
  readonly arch: string; // RPM's name: x86_64
}
