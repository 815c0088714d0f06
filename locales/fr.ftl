# Ce que disent en français les pages et les messages de la passerelle. Un fichier du même nom dans le répertoire que
# nomme `[web.public] templates` le dit autrement ; un nouveau nom ajoute une langue. Pas de balises : elles s’afficheraient.

## Sur plusieurs pages

unsubscribe-title = Se désabonner
left-title = Vous êtes désabonné(e)
done-heading = C’est fait
leave-everything = Ne plus recevoir aucune publicité de { $sender }
service-goes-on = Vous continuerez de recevoir ce que vous demandez vous-même : commandes, factures, mots de passe.
on-its-way = Un message déjà en route peut encore arriver. Vous pouvez fermer cette page.
contacts-intro = Pour écrire à l’expéditeur :
contacts-privacy = vos données

## Un lien venu d’un message

ask-heading = Ne plus recevoir ces messages ?
ask-intro = Ce lien se trouvait dans un message de { $sender } qui vous était adressé. Tant que vous n’avez pas choisi ci-dessous, rien ne change.
ask-about = Le message parlait de :
ask-leave-topics = Me désabonner de ces sujets
ask-again = Vous vous êtes réinscrit(e) le { $day }, après l’envoi de ce message. Voulez-vous quitter cela aussi ?
ask-not-mine-intro = Vous n’avez jamais donné cette adresse à { $sender } ?
ask-not-mine = Ce n’est pas mon adresse

## Ce qui est quitté

done-everything = Vous ne recevrez plus de publicité de { $sender }.
done-topics = Vous ne recevrez plus de messages de { $sender } sur :
done-address = Le message était adressé à { $address }.
done-not-mine = { $sender } apprend que cette adresse n’est pas celle de son client. Tant que ce n’est pas corrigé, des messages sur des commandes ou des factures peuvent encore arriver.

## Un lien qui ne désigne personne

no-link-heading = Ce lien ne fonctionne pas
no-link-text = Il est peut-être incomplet : rien n’a changé. Ouvrez-le depuis le message d’origine, ou utilisez le bouton « Se désabonner » de votre messagerie. Si cela ne suffit pas, écrivez à l’expéditeur : il doit tenir compte de votre demande.

## Une base qui ne répond pas

unavailable-title = Réessayez dans quelques minutes
unavailable-heading = Votre demande n’a pas encore été enregistrée
unavailable-text = Le service est momentanément indisponible. Réessayez dans quelques minutes avec le même lien : il reste valable.

## L’adresse fixe

me-heading = Ne plus recevoir de publicité
me-intro = Ce lien ne dit pas qui vous êtes. Indiquez l’adresse qui reçoit ces messages : un code y sera envoyé, puis vous choisirez ce que vous quittez.
me-address = Votre adresse électronique
me-send-code = Recevoir un code
me-button-too = Le bouton « Se désabonner » que votre messagerie affiche en haut du message fonctionne aussi, sans code.
me-problem-no-address = Ceci n’est pas une adresse : écrivez-la comme « nom@exemple.fr ».
me-problem-too-often = Trop de codes ont été demandés. Utilisez le dernier reçu, ou réessayez plus tard.
me-problem-not-sent = Le code n’a pas pu être envoyé, rien n’a changé. Réessayez dans quelques minutes, ou écrivez à l’expéditeur.
me-problem-wrong-code = Ce n’est pas le bon code. Essais restants : { $attempts }.
me-problem-code-is-over = Ce code n’est plus valable, rien n’a changé. Demandez-en un nouveau.
me-problem-nothing-chosen = Cochez au moins une case : rien n’a changé.
me-code-title = Votre code
me-code-heading = Saisissez le code reçu
me-code-intro = Si l’adresse existe, un message avec un code de six chiffres y arrive dans quelques minutes. Il est valable 15 minutes. Rien n’a changé jusqu’ici.
me-code = Code à six chiffres
me-code-go-on = Continuer
me-code-none = Rien reçu ? Vérifiez l’adresse et demandez un autre code.
me-choice-heading = Que voulez-vous quitter ?
me-choice-intro = Rien ne change tant que vous n’avez pas choisi un des boutons ci-dessous.
me-choice-everything = Toute la publicité de { $sender }
me-choice-already-left = { $label } (déjà quitté)
me-choice-leave = Quitter ce qui est coché
me-choice-leave-all = Tout quitter
me-left-intro = Vous ne recevrez plus :
me-left-everything = aucune publicité de { $sender }
me-left-topic = { $topic } – { $sender }

## Le message qui porte un code

code-subject = Votre code de désabonnement
code-text =
    Bonjour,

    votre code de désabonnement :

        { $code }

    Saisissez-le dans les 15 minutes sur la page où vous l’avez demandé :
    { $page }

    Vous n’avez rien demandé ? Alors vous n’avez rien à faire : sans ce code, rien
    ne change. Ne le communiquez à personne.

## Le retour, pour qui a transmis un message

back-title = Annuler le désabonnement
back-heading = Ce n’était pas vous ?
back-intro = Le { $day }, un lien dans un message adressé à { $address } a servi à se désabonner de { $sender }. Si ce n’était pas vous, vous pouvez revenir en arrière :
back-button = Annuler le désabonnement
back-no-more = Tout sera alors comme avant, et rien de plus. Si vous vouliez bien partir, vous n’avez rien à faire.
back-done = Le désabonnement de { $sender } est annulé. Tout est comme avant.
back-mail-subject = Vous êtes désabonné(e) de { $sender }
back-mail-text =
    Bonjour,

    un lien dans un message qui vous était adressé a servi à vous désabonner de
    { $sender }. Si c’était vous, vous n’avez rien à faire.

    Si vous aviez transmis le message et que quelqu’un d’autre a utilisé le lien,
    vous pouvez revenir en arrière pendant 30 jours :
    { $link }
