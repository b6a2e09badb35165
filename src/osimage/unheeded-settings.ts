/** What a build was given, and the texts that may make something of it. */
export interface SettingsUse {
  readonly settings: Readonly<Record<string, string>>;
  readonly before: Readonly<Record<string, string>>; // of the generation that it builds on: told of already
  readonly templates: readonly string[]; // answer file, boot arguments
}

/**
 * A line for each new setting that no template names, which is misspelt most likely. None where a template may name any of
 * them: by `settings` as a whole, or by what xCAT composes of an osimage's attributes.
 */
export function unheededSettings({ settings, before, templates }: SettingsUse): string[] {
  const text = templates.join('\n');
  if (/\bsettings\b(?!\s*(?:\.\s*\w|\[\s*['"]))|\bxcat\s*\./.test(text)) return [];
  const named = new Set(
    [...text.matchAll(/\bsettings\s*(?:\.\s*([\w-]+)|\[\s*['"]([^'"]*)['"])/g)].map(
      ([, dotted, quoted]) => dotted ?? quoted ?? '',
    ),
  );
  const list = [...named].sort().join(', ');
  return Object.entries(settings)
    .filter(([name, value]) => before[name] !== value && !named.has(name))
    .map(
      ([name]) =>
        `setting ${name}: no template of the layers names it${list === '' ? '' : `; they name ${list}`}`,
    );
}
