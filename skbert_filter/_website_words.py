"""Invented vocabulary of the generated company sites: what fills the slots of a template.

Holds words only. Which texts they are built into, and what those are worth, is not known here.
A word may hold slots itself; ``datasets`` fills them in turn.
"""


def words(text: str) -> tuple[str, ...]:
    """Split a comma-separated list."""
    return tuple(" ".join(word.split()) for word in text.split(","))


def lines(text: str) -> tuple[str, ...]:
    """Split a block into its lines; runs of blanks become one, blank lines are left out."""
    return tuple(" ".join(line.split()) for line in text.splitlines() if line.strip())


_PRODUCT = words("""
    pump, valve, gasket, bearing, gearbox, conveyor, compressor, boiler, radiator, heat exchanger,
    filter, sensor, circuit board, cable, connector, transformer, battery pack, charger, lamp,
    mirror, window frame, roof tile, floor tile, staircase, door handle, lock, hinge, kitchen,
    worktop, sink, sofa, armchair, mattress, desk, office chair, bookcase, lampshade, carpet,
    curtain, candle, tent, rucksack, sleeping bag, bicycle, saddle, canoe, surfboard, helmet,
    ski pole, climbing rope, bread roll, biscuit, cookie, cheese, sausage, jam, honey jar,
    olive oil, tea blend, coffee bean, wine, cider, lager, fruit juice, salad bowl, menu card,
    gift box, carton, pallet, label, brochure, poster, business card, notebook, fountain pen,
    school bag, toy train, doll, jigsaw, board game, violin, guitar string, drum kit, loudspeaker,
    microphone, camera lens, tripod, drone, hearing aid, wheelchair, bandage, stethoscope,
    hospital bed, toothbrush, soap bar, shampoo, face cream, scarf, raincoat, work boot, apron,
    uniform, zip, button, sewing machine, yarn, greenhouse, lawn mower, hedge trimmer,
    rain barrel, seed tray, fence post, garden shed, fountain, tractor part, trailer, crane,
    forklift, excavator bucket, drill bit, saw blade, welding torch, search engine, login module,
    web shop, database, invoice template, training course, guided tour, holiday flat,
    insurance plan, savings account, audit, translation, survey, feasibility report, newsletter,
    catalogue, data sheet, spare part, service contract, test bench, prototype, mould
""")

SLOTS: dict[str, tuple[str, ...]] = {
    "product": _PRODUCT,
    "products": tuple(
        word + ("es" if word.endswith(("x", "s", "ch", "sh")) else "s") for word in _PRODUCT
    ),
    "adj": words("""
        compact, reliable, hand-made, lightweight, corrosion-resistant, modular, custom-built,
        energy-saving, low-noise, waterproof, washable, recycled, refurbished, certified,
        seamless, stackable, foldable, electric, hydraulic, wireless, portable, durable, seasonal,
        organic, traditional, modern, small, large, heavy, flat, round, new, second-hand,
        high-pressure, food-grade, fire-resistant, adjustable, dishwasher-safe, award-winning,
        simple, precise, robust, medium-sized, maintenance-free, hard-wearing, scratch-proof,
        sugar-free, vegan, solar-powered, insulated, oversized, narrow, vintage, {color},
        {material}
    """),
    "color": words("""
        red, dark green, light blue, ivory, black, white, grey, copper, sand, burgundy, turquoise,
        mustard, navy, anthracite, lilac, olive, coral, walnut
    """),
    "material": words("""
        stainless steel, cast iron, brass, aluminium, titanium, oak, beech, larch, bamboo, cork,
        wool, linen, hemp, cotton, leather, felt, silk, glass, porcelain, stoneware, concrete,
        granite, slate, marble, rubber, silicone, carbon fibre, polyethylene, recycled plastic,
        copper, zinc, wax, paper, cardboard, clay, wicker, rye flour, spelt, birch plywood
    """),
    "industry": words("""
        dairies, breweries, hospitals, schools, shipyards, hotels, bakeries, paper mills,
        vineyards, railways, airports, laboratories, print shops, car makers, sawmills,
        town councils, museums, food processors, wind farms, dental practices, pharmacies,
        builders, architects, farmers, roofers, law firms, universities, publishers, theatres,
        sports clubs, fisheries, libraries, care homes, foundries, chemical plants, joiners,
        restaurants, retailers, start-ups, foundations
    """),
    "city": words("""
        Leeds, Bristol, Cork, Dundee, Norwich, Swansea, Derby, Halifax, Portland, Denver, Austin,
        Tulsa, Boise, Omaha, Perth, Hobart, Dunedin, Calgary, Leipzig, Kassel, Ulm, Bremen, Graz,
        Linz, Basel, Zürich, Köln, Nürnberg, Lyon, Nantes, Besançon, Orléans, Liège, Ghent,
        Utrecht, Breda, Groningen, Aarhus, Malmö, Göteborg, Tromsø, Turku, Tallinn, Riga, Gdańsk,
        Kraków, Łódź, Brno, Győr, Maribor, Trieste, Parma, Bari, Cádiz, León, Málaga, Porto,
        Braga, Izmir, Osaka, Nagoya, Busan, Pune, Chennai, Nairobi, Accra, Lima, Quito, Medellín,
        Curitiba, {root}ford, {root}bury, {root}ham, Bad {root}bach, {root}heim, Saint-{root},
        {root}ville
    """),
    "country": words("""
        Germany, France, Spain, Italy, Poland, Austria, Switzerland, Belgium, the Netherlands,
        Denmark, Norway, Sweden, Finland, Ireland, Portugal, Canada, Mexico, Brazil, Chile, Japan,
        South Korea, India, Australia, New Zealand, Kenya, Ghana, Turkey, Greece, Hungary,
        Slovenia, Estonia
    """),
    "root": words("""
        Har, Bel, Nor, Vel, Tam, Kes, Lund, Mar, Dor, Fen, Gra, Hol, Jas, Kol, Lim, Mor, Nev, Orl,
        Pel, Quin, Ros, Sel, Tor, Ulf, Var, Wen, Yar, Zel, Bran, Cres, Drey, Elm, Falk, Glen,
        Hask, Ing, Jor, Krae, Lor, Mel, Nim, Ost, Pry, Rav, Stel, Tres, Umb, Vil, Wick, Brom,
        Cald, Dun
    """),
    "ending": words("""
        wick, lund, mark, tec, dale, berg, son, field, ex, ova, ini, ard, well, rup, stad, more,
        ley, tron, flux, ware, kamp, holt, brook, mann, ett, ius, ora, via, lin, dex, gard, moor,
        sted
    """),
    "company": words("""
        {root}{ending}, {root}{ending}, {root}{ending}, {root}{ending} {trade},
        {root}{ending} Ltd, {root}{ending} GmbH, {root}{ending} Inc, {root}{ending} & Sons,
        {root}{ending} Group, {surname} & {surname}, {surname} Brothers, {root}{ending} AG,
        {last} {trade}, {city} {trade}
    """),
    "trade": words("""
        Engineering, Foods, Textiles, Interiors, Logistics, Software, Instruments, Bakery,
        Brewery, Timber, Tools, Systems, Print, Optics, Travel, Gardens, Dental, Ceramics, Cycles,
        Energy
    """),
    "first": words("""
        Anna, Peter, Maria, Jonas, Claire, Tomasz, Ingrid, Luis, Priya, Kenji, Olga, Samuel,
        Fatima, Henrik, Julia, Marco, Elena, David, Sofie, Pavel, Nora, Ahmed, Laura, Felix,
        Hannah, Oscar, Mireille, Jürgen, José, Zoë, Agnieszka, Søren, Bettina, Ravi, Grace,
        Callum, Deborah, Victor
    """),
    "surname": words("""
        Keller, Novak, Whitmore, Lindqvist, Moreau, Ferrari, Okafor, Tanaka, Brandt, Kowalska,
        Jensen, Delgado, Petrov, Hughes, Schäfer, Núñez, Lefèvre, Ødegård, Murphy, Costa, Weiss,
        Patel, {last}, {last}, {last}, {last}
    """),
    "last": ("{root}{ending}", "{root}er", "{root}mann", "Mc{root}", "{root}ski", "{root}sen"),
    "person": words("""
        {first} {surname}, {first} {surname}, Dr {surname}, {first} {root}. {surname}
    """),
    "role": words("""
        head of production, service engineer, managing director, quality manager, master baker,
        sales manager, plant manager, designer, apprentice, accountant, project lead, buyer,
        software developer, warehouse clerk, shift supervisor, export manager,
        laboratory assistant, welder, electrician, cabinet maker, head of research,
        chief executive, fitter, data analyst, customer adviser, night porter, nurse, translator,
        editor, site manager, lorry driver
    """),
    "verb": words("""
        designs, builds, repairs, supplies, tests, exports, imports, rents out, restores,
        delivers, distributes, assembles, develops, packs, prints, installs, stocks, recycles
    """),
    "did": words("""
        designed, built, repaired, supplied, tested, exported, introduced, restored, delivered,
        launched, assembled, developed, replaced, installed, redesigned, ordered, sold, patented
    """),
    "do": words("""
        design, build, repair, supply, test, export, import, rent out, restore, deliver, assemble,
        develop, pack, print, install, recycle, maintain, compare, order, choose, store, clean
    """),
    "gain": words("""
        cut energy use by {n} %, halve the noise, save {n} hours a week, last {n} years,
        weigh only {n} kg, withstand {n} bar, need no lubrication, fit through a standard door,
        keep food cold for {n} hours, reduce waste by {n} %, resist frost and salt,
        run on {n} volts, work without the internet, hold up to {n} litres,
        dry within {n} minutes, keep their shape, meet the new hygiene rules,
        cost a third less to run, make no contact with the product, store {n} GB of data,
        carry {n} kg, open with one hand, are easy to clean, protect the privacy of patients
    """),
    "place": words("""
        plant, workshop, showroom, warehouse, laboratory, training centre, branch, bakery,
        foundry, service centre, office, test hall, mill, studio, depot, visitor centre,
        assembly line, shop
    """),
    "topic": words("""
        {products}, {adj} {products}, {material}, water treatment, fair trade, food safety,
        logistics, apprenticeships, energy costs, recycling, machine learning,
        occupational safety, packaging, home care, export rules, cyber security, soil health,
        urban planning, hygiene, sustainability
    """),
    "who": words("""
        {company}, {company}, {company}, our team, the company, our workshop in {city},
        the family firm, {person}, our {role}, the {place} in {city}, the {role} of {company},
        one customer, the founder
    """),
    "when": words("""
        in {year}, in {month} {year}, on {day} {month} {year}, last {season}, since {year},
        for {n} years, every {season}, within {n} days, after the merger,
        during the {season} season, before {year}, twice a year, at the {fair} {year},
        from {weekday} to {weekday}
    """),
    "where": words("""
        in {city}, in {country}, near {city}, in {city} and {city}, across {country}, on our site,
        at the {place} in {city}, in {n} countries, throughout {country} and {country}, on request
    """),
    "why": words("""
        because {industry} asked for it, so that {industry} can {do} {products} faster,
        as {material} has become scarce, which pleases {industry} {where},
        although {material} costs more, since {products} of {material} {gain},
        so nobody has to wait for {products}, while prices stayed the same,
        and {industry} {where} noticed, and {person} remembers it well,
        but the {products} stayed the same
    """),
    "fair": words("""
        {trade} Fair, {city} Expo, {trade} Days, {country} Trade Show, {root}tec, {trade} Forum,
        World of {trade}
    """),
    "month": words("""
        January, February, March, April, May, June, July, August, September, October, November,
        December
    """),
    "season": words("spring, summer, autumn, winter"),
    "weekday": words("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
    "day": tuple(map(str, range(1, 29))),
    "n": tuple(map(str, range(2, 100))),
    "count": words("two, three, four, five, six, eight, ten, twelve, twenty, {n}, {n}, {nnn}"),
    "nnn": tuple(map(str, range(100, 1000, 7))),
    "nnnn": tuple(map(str, range(1000, 10000, 37))),
    "cents": words("00, 50, 90, 95, 99, 25"),
    "year": tuple(map(str, [*range(1870, 2000, 3), *range(2000, 2025)])),
    "letter": tuple("ABCDEFGHKLMNPRSTUVWX"),
    "code": words("""
        {letter}{letter}-{nnn}, {letter}{nnnn}, {nnn}.{nnn}, {letter}{letter}{letter}{n}
    """),
    "price": words("""
        ${n}.{cents}, €{n}.{cents}, £{nnn}, {n}.{cents} €, {nnn} PLN, CHF {n}.{cents}
    """),
    "date": (
        "{day} {month} {year}",
        "{month} {day}, {year}",
        "{day}.{day}.{year}",
        "{weekday}, {day} {month}",
        "{month} {year}",
    ),
    "phone": (
        "+44 {nnn} {nnn} {nnnn}",
        "+49 (0){nnn} {nnnn}-{n}",
        "0{nnn} {nnn} {nnn}",
        "({nnn}) {nnn}-{nnnn}",
        "+33 {n} {n} {n} {n} {n}",
    ),
    "domain": words("{site}.example, {site}-{city_ascii}.example, shop.{site}.example"),
    "site": words("""
        harwick, belmarten, norstad, velora, tamflux, keslund, dorgard, grabrook, yarvia
    """),
    "city_ascii": words("leeds, ulm, lyon, porto, riga, graz, parma, breda, basel, derby"),
    "email": ("{mailbox}@{domain}", "{mailbox}@{domain}", "{site}@{domain}"),
    "mailbox": words("info, sales, office, service, jobs, hello, press, support, kontakt, contact"),
    "street": words("""
        {n} {last} Street, {n} {last} Road, {last}straße {n}, {n} rue de {city},
        Calle {surname} {n}, ul. {surname} {n}, Via {surname} {n}, {n} Mill Lane,
        Unit {n} {city} Business Park, Postbus {nnn}
    """),
    # German, French, Spanish, Italian, Polish, Dutch.
    "de_ding": words("""
        Pumpen, Ventile, Dichtungen, Möbel, Türen, Fenster, Werkzeuge, Backwaren, Stühle, Küchen,
        Lärmschutzwände, Heizkörper, Getränke, Gewürze, Kräutertees, Rücksäcke, Fahrräder, Zelte,
        Prüfgeräte, Stahlrohre, Holzböden, Maßanzüge, Süßwaren, Kühlschränke, Bücher, Geländer
    """),
    "de_art": words("""
        langlebige, geprüfte, maßgefertigte, günstige, geräuscharme, nachhaltige, moderne,
        robuste, hochwertige, rostfreie, einfache, größere, handgefertigte, regionale, tragbare
    """),
    "de_kunde": words("""
        Krankenhäuser, Bäckereien, Schulen, Brauereien, Handwerker, Gemeinden, Büros, Labore,
        Höfe, Architekten, Hersteller, Händler, Apotheken, Vereine, Werften
    """),
    "fr_chose": words("""
        pompes, vannes, joints, meubles, fenêtres, outils, pâtisseries, fromages, chaussures,
        vélos, tuyaux, chaudières, épices, tissus, machines à coudre, étagères, tentes, caméras,
        câbles, jouets, éclairages, cuisines, canapés, bougies, réservoirs
    """),
    "fr_art": words("""
        durables, légères, sur mesure, économiques, fabriquées à la main, modernes, étanches,
        fiables, recyclées, silencieuses, réglables, biologiques, élégantes
    """),
    "fr_client": words("""
        les hôpitaux, les écoles, les boulangeries, les artisans, les agriculteurs, les musées,
        les communes, les hôtels, les laboratoires, les architectes, les élèves, les éditeurs
    """),
    "es_cosa": words("""
        bombas, válvulas, juntas, muebles, ventanas, herramientas, galletas, quesos, zapatos,
        bicicletas, tuberías, calderas, especias, telas, tiendas de campaña, cámaras, cables,
        juguetes, lámparas, cocinas, sofás, velas, depósitos, colchones, jabones
    """),
    "es_art": words("""
        duraderas, ligeras, a medida, económicas, hechas a mano, modernas, fiables, recicladas,
        silenciosas, ecológicas, plegables, pequeñas, sólidas
    """),
    "es_cliente": words("""
        los hospitales, las escuelas, las panaderías, los talleres, los museos, los hoteles,
        los agricultores, los laboratorios, los niños, las bodegas, los ayuntamientos
    """),
    "it_cosa": words("""
        pompe, valvole, mobili, finestre, scarpe, biciclette, lampade, cucine, formaggi
    """),
    "pl_rzecz": words("""
        pompy, zawory, meble, okna, narzędzia, rowery, łóżka, przyprawy, części, świece
    """),
    "nl_ding": words("pompen, kleppen, meubels, ramen, fietsen, lampen, keukens, tenten, koekjes"),
    "ru_vesh": words("""
        насосы, клапаны, мебель, окна, инструменты, лампы, двери, запчасти, печи, ткани
    """),
    "zh_wu": words("水泵, 阀门, 家具, 门窗, 工具, 灯具, 茶叶, 轴承, 传感器, 电缆"),
    "ja_mono": words("ポンプ, バルブ, 家具, 工具, 照明, 部品, 和菓子, センサー, 自転車, 陶器"),
}  # fmt: skip
