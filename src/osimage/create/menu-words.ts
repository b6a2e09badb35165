/** A file of boot entries, by its path on the medium. */
export const isMenu = (path: string): boolean =>
  /(^|\/)(?:isolinux|syslinux)\.cfg$|(^|\/)grub[^/]*\.cfg$/i.test(path);

/**
 * The text of a menu with `words` behind the kernel of every line that loads one, as create-iso puts them: in front of the
 * line's own, as the installer talks on the console that is named last.
 */
export function withKernelWords(menu: string, words: readonly string[]): string {
  if (words.length === 0) return menu;
  return menu.replace(
    /^([^#\n]*?\/vmlinuz)(?=[\s'"]|$)/gm,
    (_line, upToKernel: string) => `${upToKernel} ${words.join(' ')}`,
  );
}
