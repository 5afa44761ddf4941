import type { Sql } from "postgres";

/**
 * Counts projections as an application would see them. Two handlers of its own, one before all of Duebase's and one
 * after, add a row each, and nothing prevents a second row. An event that was projected twice has four rows, one that was
 * projected by half has one, and one whose projection was undone has none.
 */
export async function countProjections(sql: Sql): Promise<void> {
  await sql.unsafe(`
    create schema app;
    create table app.projections (event_id text not null, step text not null);
    create function app.begin_projection(event billing.stripe_events) returns void language sql set search_path = '' as
      $$ insert into app.projections values (event.id, 'begun') $$;
    create function app.end_projection(event billing.stripe_events) returns void language sql set search_path = '' as
      $$ insert into app.projections values (event.id, 'done') $$;
    insert into billing.event_handlers (event_type, handler, position)
      select distinct h.event_type, own.handler, own.position
      from billing.event_handlers as h
      cross join (values ('app.begin_projection', 1), ('app.end_projection', 1000)) as own (handler, position);
  `);
}

/** How often each step of each event's projection was committed: `{ evt_…: "begun done" }`. */
export async function projections(sql: Sql): Promise<Record<string, string>> {
  const rows = await sql<{ event_id: string; steps: string }[]>`
    select event_id, string_agg(step, ' ' order by step) as steps from app.projections group by event_id
  `;
  return Object.fromEntries(rows.map(({ event_id, steps }) => [event_id, steps]));
}
