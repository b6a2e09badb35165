import { type Command, InvalidArgumentError } from 'commander';
import { buildGeneration } from '../../osimage/build.js';
import { relayeredInputs } from '../../osimage/changes.js';
import { findOsimage } from '../../osimage/find.js';
import type { Context } from '../context.js';
import { siteSigner } from '../signer.js';
import { sourceDateEpoch } from './epoch.js';
import { absoluteLayerSpec, layerSearchDirs } from './layer-search.js';
import { resultJson, resultText, stopwatch } from './result.js';

function setting(value: string, previous: Record<string, string> = {}): Record<string, string> {
  const match = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/s.exec(value);
  if (match === null)
    throw new InvalidArgumentError(
      'it has the form key=value; a key is a letter or _, then letters, digits and _',
    );
  return { ...previous, [match[1] ?? '']: match[2] ?? '' };
}

export function registerBuild(image: Command, context: Context): void {
  image
    .command('build')
    .summary('make a new generation from layers')
    .description(
      'Applies layers to the osimage as it was imported, then the changes made with put, delete and chmod, and publishes the result as the current generation. Without --layers the layers of the current generation are read again.',
    )
    .argument('<osimage>', 'the osimage')
    .option(
      '--layers <list>',
      'layers, highest first: names (looked up in the site’s layers/, then in configs/) or paths, separated by colons; "" for none',
    )
    .option(
      '--set <key=value>',
      'a setting for templates, there as settings.key; may be repeated; an empty value takes it away',
      setting,
    )
    .option('--discard-edits', 'leave out the changes made with put, delete, chmod and pack')
    .addHelpText(
      'after',
      '\nExamples:\n  rackboot image build d12 --layers debian-installer\n  rackboot image build d12 --layers ./rack7:debian-installer --set mirror=10.0.0.2',
    )
    .action(
      async (
        name: string,
        options: { layers?: string; set?: Record<string, string>; discardEdits?: boolean },
      ) => {
        const { site, store } = await context.openStore();
        await findOsimage(store, name);
        const elapsed = stopwatch();
        const spec = options.layers === undefined ? undefined : absoluteLayerSpec(options.layers);
        const result = await buildGeneration(store, {
          osimage: name,
          signer: () => siteSigner(site),
          note: spec === undefined ? 'build' : `build --layers ${options.layers ?? ''}`,
          async change({ manifest: { inputs } }, writer) {
            const change = {
              layerSpec: spec,
              searchDirs: layerSearchDirs(site),
              settings: options.set ?? {},
              discardEdits: options.discardEdits === true,
            };
            const changed = await relayeredInputs(inputs, change, writer, (line) => context.note(line));
            return { ...changed, ...sourceDateEpoch() };
          },
        });
        const ms = elapsed();
        const kept = result.manifest.inputs.edits.length;
        if (kept > 0)
          context.note(
            `kept ${kept} change${kept === 1 ? '' : 's'} made with put, delete and chmod; leave them out with --discard-edits`,
          );
        for (const line of result.notes) context.note(line);
        for (const { from, path } of result.missed)
          context.note(`${from}: removals: ${path} is not in the image, so nothing was removed`);
        context.print(resultJson(result, ms), () => resultText(result, ms));
      },
    );
}
