-- What is ours: noted at the very end, where all of it is there and nobody else has made anything yet.
-- Reads: the catalog. Writes: our_objects. Called by: nobody; each release's migration ends with it.

insert into billing_private.our_objects (type, identity)
select distinct o.type, o.identity from billing_private.objects_of_schemas() as o;
