-- The report of a case of children is evidence: written once, and of no other kind of case.

CREATE FUNCTION public.guard_tipline_report() RETURNS trigger LANGUAGE plpgsql VOLATILE
SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $guard$
BEGIN
    PERFORM 1 FROM public.disclosures_abusecase c WHERE c.id = NEW.case_id AND c.kind = 'csam' AND c.closed_at IS NULL FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'case % is none that is reported there', NEW.case_id USING ERRCODE = 'PH003';
    END IF;
    RETURN NEW;
END $guard$;
CREATE TRIGGER z_guard_tipline_report BEFORE INSERT ON public.disclosures_tiplinereport
    FOR EACH ROW EXECUTE FUNCTION public.guard_tipline_report();
ALTER TABLE public.disclosures_tiplinereport ENABLE ALWAYS TRIGGER z_guard_tipline_report;

CREATE TRIGGER z_guard_evidence BEFORE DELETE OR TRUNCATE ON public.disclosures_tiplinereport
    FOR EACH STATEMENT EXECUTE FUNCTION public.guard_evidence();
ALTER TABLE public.disclosures_tiplinereport ENABLE ALWAYS TRIGGER z_guard_evidence;
REVOKE UPDATE, DELETE ON disclosures_tiplinereport FROM portal_runtime;
