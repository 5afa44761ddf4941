/**
 * The plain text of an email, read off its own HTML. React writes that HTML, so it is well-formed and every
 * `<`, `>` and `&` of a text is escaped: tags can be told from text by a pattern, which holds for no other HTML.
 *
 * Headings stay as they are written, links keep their address, a table of data becomes one line a row
 * ("Amount: €49.00"), tables that only lay out leave no trace.
 */
export function toPlainText(html: string): string {
  const page = new Page();
  // Only what stands in the body; comments are for Outlook.
  const body = html.slice(Math.max(0, html.indexOf("<body"))).replace(/<!--[\s\S]*?-->/g, "");
  for (const [, tag = "", text = ""] of body.matchAll(/<([^>]*)>|([^<]+)/g)) {
    if (text !== "") page.write(decode(text));
    else if (tag.startsWith("/")) page.close(tag.slice(1));
    else page.open(tag);
  }
  return page.finish();
}

const voidElements = new Set(["br", "hr", "img", "meta", "link", "input", "col", "wbr"]);
const blocks = new Set([
  "p",
  "div",
  "h1",
  "h2",
  "h3",
  "h4",
  "h5",
  "h6",
  "li",
  "ul",
  "ol",
  "section",
  "blockquote",
]);

interface Piece {
  text: string;
  href?: string;
}

class Page {
  private readonly paragraphs: string[] = [];
  private line: Piece[] = [];
  private href: string | undefined;
  /** How many open elements are inside one that is skipped, itself included. */
  private skipped = 0;
  /** The open tables, whether each holds data or only lays out. */
  private readonly tables: { data: boolean; rows: string[]; cells: string[] }[] = [];
  private inHead = false;

  open(tag: string): void {
    const name = tag.match(/^[a-z0-9]+/i)?.[0]?.toLowerCase() ?? "";
    if (this.skipped > 0 || tag.includes('data-skip-in-text="true"')) {
      if (!voidElements.has(name)) this.skipped += 1;
      return;
    }
    if (name === "br") this.write("\n", true);
    else if (name === "a") this.href = decode(tag.match(/\shref="([^"]*)"/)?.[1] ?? "");
    else if (name === "thead") this.inHead = true;
    else if (name === "table") {
      this.endParagraph();
      this.tables.push({ data: !tag.includes('role="presentation"'), rows: [], cells: [] });
    } else if (blocks.has(name) || name === "hr") this.endParagraph();
  }

  close(tag: string): void {
    if (this.skipped > 0) {
      this.skipped -= 1;
      return;
    }
    const name = tag.trim().toLowerCase();
    const table = this.tables.at(-1);
    if (name === "a") this.href = undefined;
    else if (name === "thead") this.inHead = false;
    else if (name === "td" || name === "th") {
      if (table?.data) table.cells.push(this.takeLine(true).replaceAll("\n", ", "));
      else this.endParagraph();
    } else if (name === "tr" && table?.data) {
      const [first, ...rest] = table.cells.filter((cell) => cell !== "");
      // The heads of the columns explain nothing once the columns are gone.
      if (first !== undefined && !this.inHead) {
        table.rows.push(rest.length > 0 ? `${first}: ${rest.join(", ")}` : first);
      }
      table.cells = [];
    } else if (name === "table") {
      this.endParagraph();
      this.tables.pop();
      if (table?.data && table.rows.length > 0) this.paragraphs.push(table.rows.join("\n"));
    } else if (blocks.has(name)) this.endParagraph();
  }

  write(text: string, verbatim = false): void {
    if (this.skipped > 0) return;
    const piece: Piece = { text: verbatim ? text : text.replace(/[\s\u00a0\u202f]+/g, " ") };
    if (this.href) piece.href = this.href;
    this.line.push(piece);
  }

  finish(): string {
    this.endParagraph();
    return `${this.paragraphs.join("\n\n")}\n`;
  }

  private endParagraph(): void {
    // A paragraph within a cell of data belongs to the cell.
    if (this.tables.at(-1)?.data) return;
    const text = this.takeLine();
    if (text !== "") this.paragraphs.push(text);
  }

  private takeLine(inCell = false): string {
    const said = this.line.filter(({ text }) => text.trim() !== "");
    const [only, ...others] = said;
    const alone = !inCell && only?.href !== undefined && others.length === 0;
    const text = this.line
      .map((piece) => (piece.text.trim() === "" ? piece.text : inline(piece, alone)))
      .join("");
    this.line = [];
    return text
      .replace(/ *\n */g, "\n")
      .replace(/ {2,}/g, " ")
      .trim();
  }
}

/** A link by itself is "View invoice: https://…", within a sentence "NL-0042 (https://…)". */
function inline({ text, href }: Piece, alone: boolean): string {
  if (href === undefined || href === text.trim() || href === `mailto:${text.trim()}`) return text;
  return alone ? `${text.trim()}: ${href}` : `${text} (${href})`;
}

const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', "#x27": "'", "#39": "'" };

function decode(text: string): string {
  return text.replace(/&(#x27|#39|amp|lt|gt|quot);/g, (entity, name: string) => entities[name] ?? entity);
}
