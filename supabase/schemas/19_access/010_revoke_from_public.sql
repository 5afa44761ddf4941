-- Revoke from PUBLIC: nobody executes a function of ours unless it is granted by name.
-- Reads: every function of our two schemas. Called by: nobody; it is the last file, so that it finds them all.

-- PostgreSQL lets PUBLIC execute every new function, which would make each function of an exposed schema an endpoint
-- for anybody. The default belongs to the role that creates a function and cannot be narrowed to a schema: taken away
-- there, it would be taken away from the application's functions too, and those in its policies and checks would fail.
-- So it is taken from our own functions, after all of them are defined. Each release ends with these statements.
revoke execute on all functions in schema billing from public;
revoke execute on all functions in schema billing_private from public;
revoke execute on all procedures in schema billing from public;
revoke execute on all procedures in schema billing_private from public;
