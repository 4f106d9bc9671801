-- The walls of the key store. The key database cannot see holds: its one destroying function obeys only a token that
-- the main database minted, HMAC-SHA-256 (RFC 2104) from nested sha256, over a secret no runtime role can read.

REVOKE ALL ON keys_destructionsecret FROM portal_runtime;
REVOKE UPDATE, DELETE, TRUNCATE ON keys_datakey, keys_keywrap FROM portal_runtime;
GRANT SELECT, INSERT ON keys_datakey, keys_keywrap TO portal_runtime;
REVOKE ALL ON django_migrations FROM portal_runtime;
GRANT SELECT ON django_migrations TO portal_runtime;

-- A tombstone is made by the destroying function alone (it runs as the owner; this trigger runs as whoever inserts),
-- and a destroyed key gets no new wrap.
CREATE FUNCTION public.guard_key() RETURNS trigger LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF NEW.destroyed_at IS NOT NULL AND current_user <> 'portal_owner' THEN
        RAISE EXCEPTION 'a key cannot be made destroyed' USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;

CREATE FUNCTION public.guard_wrap() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    -- The lock, alone: a wrap of a transaction still open while its key is destroyed would outlive the destruction.
    PERFORM 1 FROM public.keys_datakey k WHERE k.id = NEW.key_id FOR SHARE;
    PERFORM 1 FROM public.keys_datakey k WHERE k.id = NEW.key_id AND k.destroyed_at IS NOT NULL;
    IF FOUND THEN
        RAISE EXCEPTION 'data key % is destroyed', NEW.key_id USING ERRCODE = 'PH002';
    END IF;
    RETURN NEW;
END $guard$;

CREATE FUNCTION public.guard_key_store() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    RAISE EXCEPTION 'the key store is governed: % is refused', TG_OP USING ERRCODE = 'PH001';
END $guard$;

CREATE TRIGGER z_guard_key BEFORE INSERT ON public.keys_datakey
    FOR EACH ROW EXECUTE FUNCTION public.guard_key();
CREATE TRIGGER z_guard_wrap BEFORE INSERT ON public.keys_keywrap
    FOR EACH ROW EXECUTE FUNCTION public.guard_wrap();
CREATE TRIGGER z_guard_key_truncate BEFORE TRUNCATE ON public.keys_datakey
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_key_store();
CREATE TRIGGER z_guard_wrap_truncate BEFORE TRUNCATE ON public.keys_keywrap
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_key_store();
ALTER TABLE public.keys_datakey ENABLE ALWAYS TRIGGER z_guard_key;
ALTER TABLE public.keys_keywrap ENABLE ALWAYS TRIGGER z_guard_wrap;
ALTER TABLE public.keys_datakey ENABLE ALWAYS TRIGGER z_guard_key_truncate;
ALTER TABLE public.keys_keywrap ENABLE ALWAYS TRIGGER z_guard_wrap_truncate;

CREATE FUNCTION public.destroy_keys(subjects uuid[], categories text[], minted text, token bytea) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
DECLARE
    message text;
    pads record;
    destroyed integer;
BEGIN
    IF cardinality(subjects) <> cardinality(categories) OR cardinality(subjects) = 0 THEN
        RAISE EXCEPTION 'subjects and categories differ in length or are empty' USING ERRCODE = 'PH003';
    END IF;
    SELECT inner_pad, outer_pad INTO STRICT pads FROM public.keys_destructionsecret WHERE id = 1;
    SELECT minted || '|' || string_agg(p.subject::text || ':' || p.category, ',' ORDER BY p.subject, p.category)
      INTO message FROM unnest(subjects, categories) AS p(subject, category);
    IF token IS NULL OR minted IS NULL
       OR sha256(pads.outer_pad || sha256(pads.inner_pad || convert_to(message, 'UTF8'))) IS DISTINCT FROM token THEN
        RAISE EXCEPTION 'the destruction token does not fit these keys' USING ERRCODE = 'PH001';
    END IF;
    IF minted::timestamptz < clock_timestamp() - interval '10 minutes' THEN
        RAISE EXCEPTION 'the destruction token is older than ten minutes; mint a new one' USING ERRCODE = 'PH001';
    END IF;
    -- In one order, so that two who destroy at once do not cross.
    PERFORM 1 FROM public.keys_datakey k JOIN unnest(subjects, categories) AS p(subject, category) USING (subject, category)
      ORDER BY k.id FOR UPDATE OF k;
    UPDATE public.keys_datakey k SET destroyed_at = clock_timestamp() FROM unnest(subjects, categories) AS p(subject, category)
     WHERE k.subject = p.subject AND k.category = p.category AND k.destroyed_at IS NULL;
    -- A pair that never had a key gets its tombstone too, so that none is made afterwards.
    INSERT INTO public.keys_datakey AS k (id, subject, category, created_at, destroyed_at)
    SELECT gen_random_uuid(), p.subject, p.category, clock_timestamp(), clock_timestamp()
      FROM unnest(subjects, categories) AS p(subject, category)
     WHERE NOT EXISTS (SELECT 1 FROM public.keys_datakey f WHERE f.subject = p.subject AND f.category = p.category)
     ORDER BY p.subject, p.category
        ON CONFLICT (subject, category) DO UPDATE SET destroyed_at = coalesce(k.destroyed_at, excluded.destroyed_at);
    DELETE FROM public.keys_keywrap w USING public.keys_datakey k, unnest(subjects, categories) AS p(subject, category)
     WHERE w.key_id = k.id AND k.subject = p.subject AND k.category = p.category;
    GET DIAGNOSTICS destroyed = ROW_COUNT;
    RETURN destroyed;
END $guard$;

REVOKE ALL ON FUNCTION public.destroy_keys(uuid[], text[], text, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.destroy_keys(uuid[], text[], text, bytea) TO portal_runtime;

-- Old wraps are retired by another role, after the new one has been tried.
GRANT SELECT, DELETE ON public.keys_keywrap TO portal_rewrapper;
GRANT SELECT ON public.keys_datakey TO portal_rewrapper;
CREATE FUNCTION public.guard_last_wrap() RETURNS trigger LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF current_user = 'portal_owner' THEN
        RETURN OLD;
    END IF;
    PERFORM 1 FROM public.keys_keywrap w WHERE w.key_id = OLD.key_id AND w.id <> OLD.id AND w.made_at > OLD.made_at;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'wrap % is the newest of its key: it stays', OLD.id USING ERRCODE = 'PH001';
    END IF;
    RETURN OLD;
END $guard$;
CREATE TRIGGER z_guard_last_wrap BEFORE DELETE ON public.keys_keywrap
    FOR EACH ROW EXECUTE FUNCTION public.guard_last_wrap();
ALTER TABLE public.keys_keywrap ENABLE ALWAYS TRIGGER z_guard_last_wrap;
