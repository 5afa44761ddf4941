/** Reads OpenMetrics text as https://prometheus.io/docs/specs/om/open_metrics_spec/ (1.0.0) defines it, and refuses all else. */

export interface MetricFamily {
  name: string;
  type: string;
  unit: string;
  help: string;
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

/** What may follow the family's name in that of a sample, by type. */
const SUFFIXES: Record<string, string[]> = {
  gauge: [""],
  unknown: [""],
  info: ["_info"],
  counter: ["_total", "_created"],
};

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$|^[+-]?(inf|infinity)$|^nan$/i;

/**
 * @throws Error with the line that breaks the rules
 */
export function parseOpenMetrics(text: string): Map<string, MetricFamily> {
  if (!text.endsWith("# EOF\n")) throw new Error("It does not end with # EOF.");
  const families = new Map<string, MetricFamily>();
  let current: MetricFamily | undefined;
  const lines = text.slice(0, -"# EOF\n".length).split("\n");
  if (lines.pop() !== "") throw new Error("The last line is not ended.");
  for (const line of lines) {
    const wrong = (why: string) => new Error(`${why}: ${line}`);
    if (line === "" || /\r/.test(line)) throw wrong("An empty line, or a carriage return");
    const described = /^# (TYPE|UNIT|HELP) (\S+) (.*)$/.exec(line);
    if (described) {
      const [, keyword = "", name = "", rest = ""] = described;
      if (!NAME.test(name)) throw wrong("No name of a metric");
      if (current?.name !== name) {
        if (families.has(name)) throw wrong("A family is in two places");
        current = { name, type: "unknown", unit: "", help: "", samples: [] };
        families.set(name, current);
      } else if (current.samples.length > 0) throw wrong("Metadata after samples");
      if (keyword === "TYPE") {
        if (SUFFIXES[rest] === undefined) throw wrong("No type that is known here");
        current.type = rest;
      } else if (keyword === "UNIT") {
        if (!name.endsWith(`_${rest}`)) throw wrong("The name does not end with its unit");
        if (current.type === "info") throw wrong("An info has no unit");
        current.unit = rest;
      } else current.help = unescaped(rest, wrong);
      continue;
    }
    if (line.startsWith("#")) throw wrong("A comment, which there are none of");
    const sample = /^([^\s{]+)(\{.*\})? (\S+)$/.exec(line);
    if (!sample) throw wrong("No sample");
    const [, name = "", labels = "", value = ""] = sample;
    if (!NAME.test(name)) throw wrong("No name of a metric");
    if (!NUMBER.test(value)) throw wrong("No number");
    if (!current || !(SUFFIXES[current.type] ?? []).some((suffix) => name === `${current?.name}${suffix}`)) {
      throw wrong("A sample of no family, or with a suffix that is not of its type");
    }
    if (current.type === "info" && value !== "1") throw wrong("An info that is not 1");
    const read = { name, labels: labelsIn(labels, wrong), value: Number(value) };
    const key = JSON.stringify(Object.entries(read.labels).sort());
    if (current.samples.some((other) => JSON.stringify(Object.entries(other.labels).sort()) === key)) {
      throw wrong("The same sample twice");
    }
    current.samples.push(read);
  }
  return families;
}

function labelsIn(text: string, wrong: (why: string) => Error): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = text.slice(1, -1);
  while (rest !== "") {
    const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(,(?=.)|$)/.exec(rest);
    if (!label) throw wrong("Labels that cannot be read");
    const [all, name = "", value = ""] = label;
    if (name in labels) throw wrong("A label twice");
    labels[name] = unescaped(value, wrong);
    rest = rest.slice(all.length);
  }
  return labels;
}

function unescaped(text: string, wrong: (why: string) => Error): string {
  return text.replace(/\\(.?)/g, (_all, sign: string) => {
    if (sign === "n") return "\n";
    if (sign === "\\" || sign === '"') return sign;
    throw wrong("An escape that there is not");
  });
}
