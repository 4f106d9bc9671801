-- The guards of abuse cases; functions that exist are replaced whole (the newest file counts).

CREATE FUNCTION public.guard_abuse_case() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.closed_at IS NOT NULL THEN
            RAISE EXCEPTION 'a case begins open' USING ERRCODE = 'PH003';
        END IF;
        RETURN NEW;
    END IF;
    IF (NEW.id, NEW.reference, NEW.opened_at, NEW.source, NEW.source_at, NEW.source_digest)
       IS DISTINCT FROM (OLD.id, OLD.reference, OLD.opened_at, OLD.source, OLD.source_at, OLD.source_digest) THEN
        RAISE EXCEPTION 'case % keeps its reference and what it is about', OLD.id USING ERRCODE = 'PH003';
    END IF;
    IF OLD.closed_at IS NOT NULL AND to_jsonb(NEW) IS DISTINCT FROM to_jsonb(OLD) THEN
        RAISE EXCEPTION 'case % is closed; that stays', OLD.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_abuse_case BEFORE INSERT OR UPDATE ON public.disclosures_abusecase
    FOR EACH ROW EXECUTE FUNCTION public.guard_abuse_case();
ALTER TABLE public.disclosures_abusecase ENABLE ALWAYS TRIGGER z_guard_abuse_case;

-- Keys go by subject: an account with the id of a register could be erased to destroy that one's key.
CREATE OR REPLACE FUNCTION public.guard_account_is_no_register() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    PERFORM 1 FROM public.disclosures_legalrequest q WHERE q.id = NEW.id
      UNION ALL
    SELECT 1 FROM public.disclosures_disclosure d WHERE d.id = NEW.id
      UNION ALL
    SELECT 1 FROM public.disclosures_packet p WHERE p.id = NEW.id
      UNION ALL
    SELECT 1 FROM public.disclosures_recipient r WHERE r.id = NEW.id
      UNION ALL
    SELECT 1 FROM public.disclosures_abusecase c WHERE c.id = NEW.id;
    IF FOUND THEN
        RAISE EXCEPTION 'account % has the id of another subject', NEW.id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;

------------------------------------------------------------------------------------------------ evidence and grants

CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_abusecase
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_abusecase ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_abusereport
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_abusereport ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_casefinding
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_casefinding ENABLE ALWAYS TRIGGER z_guard_evidence;
CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_casenote
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_casenote ENABLE ALWAYS TRIGGER z_guard_evidence;

REVOKE DELETE ON disclosures_abusecase, disclosures_abusereport, disclosures_casefinding, disclosures_casenote FROM portal_runtime;
REVOKE UPDATE ON disclosures_abusereport, disclosures_casefinding, disclosures_casenote FROM portal_runtime;
