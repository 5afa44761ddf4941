import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { projectRoot } from "../../../scripts/local/project.ts";

const dashboard = JSON.parse(
  readFileSync(join(projectRoot, "operations", "grafana-dashboard.json"), "utf8"),
) as {
  panels: { id: number; title: string; gridPos: { x: number; y: number; w: number; h: number } }[];
};

test("no panel of the dashboard lies on another, or beside the screen", () => {
  expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
  const taken = new Map<string, string>();
  for (const { title, gridPos } of dashboard.panels) {
    expect([title, gridPos.x + gridPos.w <= 24]).toEqual([title, true]);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect([`${x},${y}`, title, taken.get(`${x},${y}`)]).toEqual([`${x},${y}`, title, undefined]);
        taken.set(`${x},${y}`, title);
      }
    }
  }
});

test("it is in the package", () => {
  const { files } = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8")) as {
    files: string[];
  };
  expect(files).toContain("operations");
});
