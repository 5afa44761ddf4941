/** One value of a language, whatever it is: a sentence, a function that makes one, or a group of them. */
type Sentence = unknown;

/**
 * What keeps a language from being used: a sentence that English has and it has not, and a code that is not its file's.
 * The compiler says the first where one runs; a team's project builds its emails without one.
 *
 * @param languages each language by the name of its file without `.ts`, `en` among them
 * @returns one line each, none where all is well
 */
export function languageFaults(languages: Readonly<Record<string, Sentence>>): string[] {
  return Object.entries(languages).flatMap(([name, language]) => [
    ...(isGroup(language) && language.code === name
      ? []
      : [`${name}.ts: its code has to be "${name}", or no customer gets it`]),
    ...missing(languages.en, language).map((path) => `${name}.ts: ${path} is missing`),
  ]);
}

/** The paths of sentences that `whole` has and `part` has not in the same form. */
function missing(whole: Sentence, part: Sentence, path = ""): string[] {
  if (!isGroup(whole)) return typeof whole === typeof part ? [] : [path];
  if (!isGroup(part)) return [path];
  return Object.entries(whole).flatMap(([name, sentence]) =>
    missing(sentence, part[name], path === "" ? name : `${path}.${name}`),
  );
}

function isGroup(value: Sentence): value is Record<string, Sentence> {
  return typeof value === "object" && value !== null;
}
