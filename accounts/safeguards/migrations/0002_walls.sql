-- The walls of ledger, outbox and destruction orders.

REVOKE ALL ON django_migrations, safeguards_destructionsecret FROM portal_runtime;
GRANT SELECT ON django_migrations TO portal_runtime;

-- The ledger is append-only, and an entry's leaf is the hash of its salt and body (RFC 6962 leaf prefix 0x00).
REVOKE UPDATE, DELETE ON safeguards_ledgerentry FROM portal_runtime;
ALTER TABLE public.safeguards_ledgerentry ADD CONSTRAINT ledger_leaf_is_the_hash
    CHECK (leaf = sha256('\x00'::bytea || salt || convert_to(body, 'UTF8')) AND length(salt) = 16);

CREATE FUNCTION public.guard_ledger() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only: % is refused', TG_OP USING ERRCODE = 'PH001';
END $guard$;
CREATE TRIGGER z_guard_ledger BEFORE DELETE OR UPDATE OR TRUNCATE ON public.safeguards_ledgerentry
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_ledger();
ALTER TABLE public.safeguards_ledgerentry ENABLE ALWAYS TRIGGER z_guard_ledger;

-- An outbox row ends once; its transaction is noted, because its key may be destroyed in a later one only.
REVOKE DELETE ON safeguards_outboxmessage FROM portal_runtime;
CREATE FUNCTION public.guard_outbox() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.ended_xid := NULL;
        IF NEW.state <> 'queued' THEN
            RAISE EXCEPTION 'an outbox row begins queued' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF NEW.id <> OLD.id OR NEW.event <> OLD.event OR NEW.kind <> OLD.kind THEN
        RAISE EXCEPTION 'outbox row % keeps its id, kind and event', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.state <> 'queued' THEN
        RAISE EXCEPTION 'outbox row % has ended', OLD.id USING ERRCODE = 'PH003';
    END IF;
    NEW.ended_xid := CASE WHEN NEW.state = 'queued' THEN NULL ELSE pg_current_xact_id()::text::bigint END;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_outbox BEFORE INSERT OR UPDATE ON public.safeguards_outboxmessage
    FOR EACH ROW EXECUTE FUNCTION public.guard_outbox();
ALTER TABLE public.safeguards_outboxmessage ENABLE ALWAYS TRIGGER z_guard_outbox;

REVOKE UPDATE, DELETE ON safeguards_destructionorder FROM portal_runtime;
GRANT UPDATE (done_at) ON safeguards_destructionorder TO portal_runtime;
